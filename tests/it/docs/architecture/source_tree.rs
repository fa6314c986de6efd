//! The files of the repository, and the modules that they are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below, by their names from the root of the repository. Links are not followed: what
/// they lead to is not ours.
pub fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            // What the test command installs and builds is nobody's handwriting.
            let made =
                [".venv", "__pycache__", "bin"].iter().any(|name| entry.file_name() == *name);
            if kind.is_dir() && !made {
                open.push(path);
            } else if kind.is_file() {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

pub fn read(file: &str) -> String {
    let bytes = fs::read(root().join(file)).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn sources() -> BTreeMap<String, String> {
    let rust = files_below("src")
        .into_iter()
        .filter(|file| Path::new(file).extension().is_some_and(|suffix| suffix == "rs"));
    rust.map(|file| (file.clone(), read(&file))).collect()
}

/// The path of a file's module: `src/node/lnd/mod.rs` is `node::lnd`, `src/main.rs` and `src/lib.rs` are
/// the root.
pub fn module_path(file: &str) -> Vec<String> {
    let below = file.strip_prefix("src/").unwrap();
    let below = below.strip_suffix(".rs").unwrap();
    let below = below.strip_suffix("/mod").unwrap_or(below);
    if matches!(below, "lib" | "main") {
        return Vec::new();
    }
    below.split('/').map(str::to_owned).collect()
}
