//! logboom, the log collector of the service mesh.

fn main() {}
