//! Compiles the protos into `OUT_DIR` with protox: no `protoc` is needed on the machine.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile(&out, "withdraw_descriptor.bin", "proto", "withdraw/v1/withdraw.proto")?;
    Ok(())
}

/// Compiles one proto and keeps its descriptors, which reflection serves.
fn compile(
    out: &std::path::Path,
    descriptor: &str,
    include: &str,
    proto: &str,
) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={include}");
    let files = protox::compile([proto], [include])?;
    fs::write(out.join(descriptor), prost::Message::encode_to_vec(&files))?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
