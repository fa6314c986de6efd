//! A pod of the rendered objects: its container's arguments, environment and mounts, as a kubelet makes
//! them out.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use super::{
    image::Image,
    kubernetes::Objects,
    machine::{Differences, Machine},
    object, texts,
};

pub fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter(|digit| *digit != b'=' && !digit.is_ascii_whitespace()) {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

/// A pod of a Deployment or a Job, on a machine of its own.
pub struct Pod {
    pub machine: Machine,
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Where its directories are on the outside.
    pub volumes: BTreeMap<String, PathBuf>,
    pub config: String,
}

const SPEC: [&str; 9] = [
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "restartPolicy",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "volumes",
];
const CONTAINER: [&str; 12] = [
    "args",
    "env",
    "envFrom",
    "image",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "volumeMounts",
];

impl Pod {
    pub fn of(objects: &Objects, workload: &Value, name: &str, differences: &Differences) -> Self {
        let spec = object(&workload["spec"]["template"]["spec"], &SPEC);
        let [container] = &spec["containers"].as_array().unwrap()[..] else { panic!() };
        let container = object(container, &CONTAINER);
        let image = Image::shipped();
        let mut machine = image.machine(&Differences::default());
        let user = spec["securityContext"]["runAsUser"].as_u64().unwrap();
        machine.user(user.try_into().unwrap());
        let mut pod = Self {
            machine,
            argv: image.argv(container.get("args").map(texts)),
            env: image.env.clone(),
            volumes: BTreeMap::new(),
            config: String::new(),
        };
        pod.environment(objects, &Value::Object(container.clone()), name, differences);
        for mount in container["volumeMounts"].as_array().unwrap() {
            object(mount, &["mountPath", "name", "readOnly"]);
            let volumes = spec["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            pod.mount(objects, volume, mount["mountPath"].as_str().unwrap(), differences);
        }
        pod
    }

    fn environment(
        &mut self,
        objects: &Objects,
        container: &Value,
        pod_name: &str,
        differences: &Differences,
    ) {
        for source in container["envFrom"].as_array().into_iter().flatten() {
            object(source, &["configMapRef"]);
            self.env.extend(objects.config(&source["configMapRef"]["name"]));
        }
        for variable in container["env"].as_array().unwrap() {
            object(variable, &["name", "value", "valueFrom"]);
            let from = &variable["valueFrom"];
            let mut value = match (&variable["value"], &from["secretKeyRef"]) {
                (Value::String(value), _) => value.clone(),
                (_, Value::Object(key)) => {
                    String::from_utf8(objects.secret(&key["name"], &key["key"])).unwrap()
                }
                _ => match from["fieldRef"]["fieldPath"].as_str().unwrap() {
                    "metadata.name" => pod_name.to_owned(),
                    "metadata.namespace" => "withdrawd".to_owned(),
                    other => panic!("not understood: {other}"),
                },
            };
            for (name, earlier) in &self.env {
                value = value.replace(&format!("$({name})"), earlier);
            }
            assert!(!value.contains("$("), "not understood: {value}");
            self.env.insert(variable["name"].as_str().unwrap().to_owned(), value);
        }
        let lines = self.env.iter().map(|(name, value)| {
            let line = differences.applied(&format!("{name}={value}"));
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        self.env = lines.collect();
    }

    fn mount(&mut self, objects: &Objects, volume: &Value, path: &str, differences: &Differences) {
        object(volume, &["configMap", "emptyDir", "name", "projected"]);
        let outside = if volume.get("emptyDir").is_some() {
            self.machine.writable(path)
        } else if let Some(config) = volume.get("configMap") {
            let files = objects.config(&config["name"]).into_iter();
            let files: BTreeMap<_, _> =
                files.map(|(name, text)| (name, differences.applied(&text))).collect();
            self.config.clone_from(&files["withdrawd.toml"]);
            let files = files.into_iter().map(|(name, text)| (name, text.into_bytes()));
            self.machine.volume(path, &files.collect(), 0o644)
        } else {
            let mode = volume["projected"]["defaultMode"].as_u64().unwrap();
            let mut files = BTreeMap::new();
            for source in volume["projected"]["sources"].as_array().unwrap() {
                for item in
                    object(&source["secret"], &["items", "name"])["items"].as_array().unwrap()
                {
                    let content = objects.secret(&source["secret"]["name"], &item["key"]);
                    files.insert(item["path"].as_str().unwrap().to_owned(), content);
                }
            }
            self.machine.volume(path, &files, mode.try_into().unwrap())
        };
        self.volumes.insert(path.to_owned(), outside);
    }
}
