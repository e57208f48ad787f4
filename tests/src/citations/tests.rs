//! The scanner over small files. The markers are taken apart so that they cite nothing themselves.

use super::{Found, in_python, in_rust};

fn pairs(found: &Found) -> Vec<(&str, &str)> {
    let citations = found.citations.iter();
    citations.map(|citation| (citation.id.as_str(), citation.test.as_str())).collect()
}

fn text(template: &str) -> String {
    template.replace("SPEC", "spec:")
}

#[test]
fn rust_citations_belong_to_the_test_around_or_below_them() {
    let text = text(
        "//! Doc.\n\
         // SPEC AAA-01, AAA-02 and why\n\
         #[test]\n\
         #[ignore]\n\
         fn above() {\n    let x = || { 1 };\n}\n\
         #[tokio::test(flavor = \"current_thread\")]\n\
         async fn inside() {\n    if true {\n        // SPEC BBB-01.\n    }\n    fn helper() {}\n    \
         // SPEC BBB-02\n}\n\
         /// SPEC CCC-01\n\
         fn helper() { \"SPEC DDD-01\"; }\n",
    );
    let found = in_rust("t.rs", &text);
    let expected = [
        ("AAA-01", "t.rs::above"),
        ("AAA-02", "t.rs::above"),
        ("BBB-01", "t.rs::inside"),
        ("BBB-02", "t.rs::inside"),
    ];
    assert_eq!(pairs(&found), expected);
    assert_eq!(
        found.citations.iter().map(|citation| citation.place).collect::<Vec<_>>(),
        [0, 1, 0, 1]
    );
    assert_eq!(found.stray, ["t.rs:16 (CCC-01)"]);
}

#[test]
fn rust_tests_inside_a_module_or_macro_are_found() {
    let text = text(
        "mod tests {\n    proptest! {\n        #![config(x)]\n        // SPEC AAA-01\n        \
         #[test]\n        fn holds(a in 0..9,\n        ) {\n        }\n    }\n    // SPEC AAA-02\n    \
         use x;\n}\n",
    );
    let found = in_rust("t.rs", &text);
    assert_eq!(pairs(&found), [("AAA-01", "t.rs::holds")]);
    assert_eq!(found.stray, ["t.rs:10 (AAA-02)"]);
}

#[test]
fn python_citations_belong_to_the_test_around_or_below_them() {
    let text = text(
        "\"\"\"Doc.\"\"\"\nimport x\n\n\n# SPEC AAA-01\n@pytest.mark.parametrize(\n    \"a\", [1]\n)\n\
         def test_above(a):\n    \"\"\"Why.\n\n    SPEC AAA-02, AAA-03.\n    \"\"\"\n    def inner():\n        \
         pass\n    # SPEC AAA-04\n\n\n\
         class TestIt:\n    # SPEC BBB-01\n    async def test_one(self):\n        pass\n\n    \
         def test_two(self):  # SPEC BBB-02\n        pass\n\n\n\
         def helper():\n    # SPEC CCC-01\n    return \"\"\n",
    );
    let found = in_python("t.py", &text);
    let expected = [
        ("AAA-01", "t.py::test_above"),
        ("AAA-02", "t.py::test_above"),
        ("AAA-03", "t.py::test_above"),
        ("AAA-04", "t.py::test_above"),
        ("BBB-01", "t.py::TestIt::test_one"),
        ("BBB-02", "t.py::TestIt::test_two"),
    ];
    assert_eq!(pairs(&found), expected);
    assert_eq!(found.stray, ["t.py:29 (CCC-01)"]);
}

#[test]
fn prose_about_citations_cites_nothing() {
    let found = in_rust(
        "t.rs",
        &text("// SPEC ID, as in the ledger; SPEC see AAA-01\n#[test]\nfn f() {}\n"),
    );
    assert!(found.citations.is_empty() && found.stray.is_empty());
}
