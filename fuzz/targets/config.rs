//! Any text as a configuration: refused with a report or taken, never a panic; and what a unit
//! prints is what it reads.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use logboom::config::Config;
use logboom::config::units::{ByteSize, FileMode, Period, WaitMax};

fuzz_target!(|text: &str| {
    round_trip::<ByteSize>(text);
    round_trip::<Period>(text);
    round_trip::<WaitMax>(text);
    round_trip::<FileMode>(text);
    // A run that reads files of this machine could not be repeated on another one.
    if !text.contains("${") && !text.contains("policies") {
        let _ = Config::from_text("fuzz.yaml", text).map_err(|errors| errors.to_string());
    }
});

fn round_trip<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().expect("what is printed can be read"), value);
    }
}
