//! Values of one field under several keys.

use super::Field;
use super::address::host_and_port;
use super::grpc::code;

/// True when two texts of a field say the same, though one may say more: a gRPC status by name and
/// by number, an address with and without its port, a path with and without its query.
#[must_use]
pub fn says_the_same(field: Field, a: &[u8], b: &[u8]) -> bool {
    let path = |text| <[u8]>::split(text, |it| *it == b'?').next();
    let query = |text: &[u8]| text.contains(&b'?');
    a == b
        || match field {
            Field::GrpcStatus => code(a).is_some() && code(a) == code(b),
            Field::SourceAddress => a[host_and_port(a).host] == b[host_and_port(b).host],
            Field::Path => !(query(a) && query(b)) && path(a) == path(b),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_other_words() {
        let check = |field, a: &str, b: &str, expected: bool| {
            assert_eq!(says_the_same(field, a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(says_the_same(field, b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        };
        check(Field::Mesh, "default", "default", true);
        check(Field::Mesh, "default", "evil", false);
        check(Field::GrpcStatus, "NotFound", "5", true);
        check(Field::GrpcStatus, "NotFound", "NOT_FOUND", true);
        check(Field::GrpcStatus, "NotFound", "0", false);
        check(Field::GrpcStatus, "odd", "strange", false);
        check(Field::SourceAddress, "10.42.0.7:0", "10.42.0.7", true);
        check(Field::SourceAddress, "[fd00::1]:0", "fd00::1", true);
        check(Field::SourceAddress, "10.42.0.7", "10.42.0.8", false);
        check(Field::Path, "/a?b", "/a", true);
        check(Field::Path, "/a?b", "/a?c", false);
        check(Field::Path, "/a?b", "/ab", false);
        check(Field::UpstreamHost, "10.42.0.7:80", "10.42.0.7", false);
    }
}
