//! Compiles the protocol definitions into `OUT_DIR`, without protoc.

use std::{env, error::Error, fs, path::Path};

use protox::prost::Message;

/// The message that carries bearer secrets: `src/pb.rs` prints it without them.
const BEARER: &str = ".withdraw.v1.Withdraw";

fn main() -> Result<(), Box<dyn Error>> {
    let files =
        ["withdraw/v1/withdraw.proto", "withdraw/v1/payment.proto", "withdraw/v1/operations.proto"];
    compile("withdraw", "proto", &files)?;
    compile("lnd", "src/node/lnd/proto", &["router.proto"])
}

/// Compiles `files` under `root` with all that they import, and writes `NAME_descriptor.bin` for
/// whoever serves reflection.
fn compile(name: &str, root: &str, files: &[&str]) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={root}");
    let files = protox::compile(files, [root])?;
    let descriptor = Path::new(&env::var("OUT_DIR")?).join(format!("{name}_descriptor.bin"));
    fs::write(descriptor, files.encode_to_vec())?;
    let mut config = tonic_prost_build::Config::new();
    // By its name a message finds its descriptor, and with it its JSON.
    config.enable_type_names();
    tonic_prost_build::configure()
        .skip_debug([BEARER])
        // What is nested in it carries none.
        .type_attribute(format!("{BEARER}.Status"), "#[derive(Debug)]")
        .type_attribute(format!("{BEARER}.UnclaimableReason"), "#[derive(Debug)]")
        .compile_fds_with_config(files, config)?;
    Ok(())
}
