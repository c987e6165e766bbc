//! Writes the inputs that `tests/vectors` holds for each target into the folder it is given.

#[path = "../../tests/codec/mod.rs"]
mod codec;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("usage: seed_corpus FOLDER");
    for (name, inputs) in codec::corpus::Corpus::of_all_vectors().iter() {
        // The ASF blocks are for the target that reads whole RMCP datagrams.
        let target = if name == "asf" { "rmcp" } else { name };
        let folder = Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, input) in inputs.iter().enumerate() {
            std::fs::write(folder.join(format!("{name}-{number:04}")), input)?;
        }
    }
    Ok(())
}
