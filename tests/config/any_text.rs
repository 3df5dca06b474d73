//! Any text: no panic, and something is said.

use logboom::config::Config;
use proptest::prelude::*;

/// Pieces that make texts which get far into the loader.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "sources",
        "sinks",
        "type",
        "lines",
        "otlp",
        "file",
        "stdout",
        "null",
        "listen",
        "grpc",
        "path",
        "inbox",
        "from",
        "headers",
        "endpoint",
        "http://a:1",
        "127.0.0.1:1",
        "64MiB",
        "10s",
        "memory",
        "journal",
        "${env:X:-y}",
        "${",
        "&a ",
        "*a",
        "? ",
        "!!str ",
        "|",
        ">",
        "'",
        "\"",
        "\\",
        "#",
        "é",
        "\u{feff}",
        "\u{202e}",
        "\0",
        "\r",
        "\t",
        "\u{85}",
        "\u{2028}",
    ];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        4 => proptest::sample::select(vec![": ", ":", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "- ", " "]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        if let Err(errors) = Config::from_text("x", &pieces.concat()) {
            prop_assert!(errors.problems().count() > 0);
            prop_assert!(!errors.render(true).is_empty());
        }
    }

    /// Scenario: a right file with one piece put in somewhere.
    #[test]
    fn no_damage_panics(at in 0_usize..2000, piece in piece()) {
        let mut text = include_str!("../../config/gateway.yaml").to_owned();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &piece);
        if let Err(errors) = Config::from_text("x", &text) {
            prop_assert!(!errors.render(false).is_empty());
        }
    }
}
