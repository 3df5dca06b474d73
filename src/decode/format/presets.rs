//! stub
use super::{Format, FormatError};
/// s
pub fn kuma_http() -> Result<Format, FormatError> {
    Format::compile("x")
}
/// s
pub fn kuma_http_documented() -> Result<Format, FormatError> {
    Format::compile("x")
}
/// s
pub fn kuma_tcp() -> Result<Format, FormatError> {
    Format::compile("x")
}
/// s
pub fn envoy() -> Result<Format, FormatError> {
    Format::compile("x")
}
/// s
pub fn istio() -> Result<Format, FormatError> {
    Format::compile("x")
}
