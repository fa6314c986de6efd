"""YAML documents from standard input, as a JSON list. A key that stands twice is a mistake."""

import json
import sys

import yaml


def check(node):
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise ValueError(f"a key stands twice{node.start_mark}")
        for _, value in node.value:
            check(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            check(value)


documents = []
loader = yaml.SafeLoader(sys.stdin)
while loader.check_node():
    node = loader.get_node()
    check(node)
    documents.append(loader.construct_document(node))
json.dump(documents, sys.stdout)
