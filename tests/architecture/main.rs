//! The code keeps the shape that docs/architecture.md describes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cycles;
mod imports;
mod names;
mod sizes;

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below this folder of the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    fn below(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let each = |path: PathBuf| if path.is_dir() { below(&path) } else { vec![path] };
        entries.flat_map(each).filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
    }
    below(&repository().join(folder))
}

fn tokens(file: &Path) -> TokenStream {
    std::fs::read_to_string(file).unwrap().parse().unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

/// As a path from the repository.
fn shown(file: &Path) -> String {
    file.strip_prefix(repository()).unwrap().display().to_string()
}
