//! Embeds the sources of the package `remotemedia` into the program, so that tracebacks show source
//! lines on every machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Path of the package, relative to this file.
const PACKAGE: &str = "../../python/remotemedia";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let package = manifest.join(PACKAGE).canonicalize()?;
    println!("cargo:rerun-if-changed={}", package.display());
    println!("cargo:rerun-if-changed=python");
    let mut files = Vec::new();
    collect(&package, &mut files)?;
    files.sort();
    let mut table = String::from("pub(super) static SOURCES: &[(&str, &str)] = &[\n");
    for file in files {
        let name = file.strip_prefix(&package)?.display().to_string();
        writeln!(table, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("sources.rs"), table)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    Ok(())
}
