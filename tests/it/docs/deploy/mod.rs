//! What `deploy/` ships, checked, rendered and run: the real binary with the arguments, environment,
//! files and user that an image, a compose file, Kubernetes or systemd would give it.
//!
//! No container engine is here. A [`machine`] stands in for one, and whatever has to differ on it stands
//! in a list that is printed and used up: a difference that is not found in what was rendered fails
//! the test, and so does anything rendered that is not understood.

mod checks;
mod compose;
mod deployed;
mod guide;
mod image;
mod kubernetes;
mod machine;
mod manifests;
mod pods;
mod unit;

pub use machine::free_port;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Map, Value};

use crate::{
    bench::binary::{CommandOutput, test_variable},
    bench::documents::ROOT,
};

/// A file of the repository.
fn shipped(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// A program that came with the Python of the tests (tests/requirements.txt), in the repository's root.
fn tool(name: &str) -> Option<Command> {
    let python = test_variable("WITHDRAWD_TEST_PYTHON")?;
    let mut command = Command::new(Path::new(&python).with_file_name(name));
    command.current_dir(ROOT);
    Some(command)
}

/// YAML documents.
fn yaml(text: &str) -> Vec<Value> {
    let mut python = tool("python").unwrap();
    python.arg("tests/deploy/to_json.py").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = CommandOutput::of(child.wait_with_output().unwrap());
    serde_json::from_str(said.ok()).unwrap()
}

/// An object with no other keys than these: what is not understood is not passed over.
fn object<'a>(value: &'a Value, known: &[&str]) -> &'a Map<String, Value> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    for key in object.keys() {
        assert!(known.contains(&key.as_str()), "not understood: {key} in {value}");
    }
    object
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
