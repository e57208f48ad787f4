//! Names of functions as their languages write them. Pure.

/// Longest name, in characters: those of C++ templates fill screens.
const MAX_CHARACTERS: usize = 240;

/// A symbol's name without the mangling of C++ and Rust.
pub(super) fn readable(name: &str) -> String {
    let name = demangled(name);
    match name.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name,
    }
}

fn demangled(name: &str) -> String {
    // Which version of a symbol this is (`memcpy@@GLIBC_2.14`) is of no interest here.
    let name = name.split('@').next().unwrap_or(name);
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let is_cpp = name.starts_with("_Z");
    let cpp = is_cpp.then(|| cpp_demangle::Symbol::new(name).ok()?.demangle().ok()).flatten();
    cpp.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn names_are_those_of_the_source() {
        for (name, expected) in [
            ("PyObject_Call", "PyObject_Call"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("_ZN4core6option4Some17h0123456789abcdefE", "core::option::Some"),
            ("_ZN2np4sortEPfl", "np::sort(float*, long)"),
            ("_Znot_a_name", "_Znot_a_name"),
        ] {
            assert_eq!(readable(name), expected);
        }
        assert_eq!(readable(&"é".repeat(500)), format!("{}...", "é".repeat(240)));
    }
}
