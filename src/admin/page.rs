//! The page for people: `/`, and its parts below `/ui`. Everything is in the program, nothing is fetched from elsewhere.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::refusal::other_method;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $kind:ident $name:literal),* $(,)?) => {
        &[$(File { path: $path, kind: $kind, text: include_str!(concat!("ui/", $name)) }),*]
    };
}

/// All of it.
const FILES: &[File] = files![
    "/" HTML "index.html",
    "/ui/frame.css" CSS "frame.css",
    "/ui/parts.css" CSS "parts.css",
    "/ui/icon.svg" SVG "icon.svg",
    "/ui/api.js" JS "api.js",
    "/ui/chart.js" JS "chart.js",
    "/ui/dom.js" JS "dom.js",
    "/ui/edges.js" JS "edges.js",
    "/ui/empty.js" JS "empty.js",
    "/ui/flags.js" JS "flags.js",
    "/ui/format.js" JS "format.js",
    "/ui/gate.js" JS "gate.js",
    "/ui/graph.js" JS "graph.js",
    "/ui/layout.js" JS "layout.js",
    "/ui/main.js" JS "main.js",
    "/ui/map.js" JS "map.js",
    "/ui/notices.js" JS "notices.js",
    "/ui/pipeline.js" JS "pipeline.js",
    "/ui/record.js" JS "record.js",
    "/ui/row.js" JS "row.js",
    "/ui/tail.js" JS "tail.js",
    "/ui/view.js" JS "view.js",
    "/ui/vitals.js" JS "vitals.js",
];

#[derive(Clone, Copy, Debug)]
struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// Whether something of the page is there.
pub fn is_part(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// The page. It holds no data: what it shows it asks of `/api`.
pub fn router() -> Router {
    let all =
        FILES.iter().fold(Router::new(), |router, file| router.route(file.path, get(async move || answer(*file))));
    all.method_not_allowed_fallback(other_method)
}

fn answer(file: File) -> Response {
    // Not kept: a browser that asks the next version with scripts of this one would show nonsense.
    let headers = [(CONTENT_TYPE, file.kind), (CACHE_CONTROL, "no-store")];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), file.text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Guarantee: the whole page is small, and in the program.
    #[test]
    fn all_files_are_served_and_small() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/ui");
        let names = std::fs::read_dir(directory).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let written: BTreeSet<String> = names.collect();
        let name = |file: &File| file.path.strip_prefix("/ui/").unwrap_or("index.html").to_owned();
        assert_eq!(FILES.iter().map(name).collect::<BTreeSet<_>>(), written);
        let bytes: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(bytes <= 150_000, "{bytes}");
    }

    /// Guarantee: nothing of a log becomes markup or code, and nothing is asked of anybody else.
    #[test]
    fn text_stays_text() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "parseFromString",
            "setHTML",
            "srcdoc",
            "eval(",
            "new Function",
            "javascript:",
            "import(",
            "@import",
            "url(",
            "https://",
            "localStorage",
            "document.cookie",
            "style=",
            "onclick=\"",
        ];
        for file in FILES {
            for word in forbidden {
                assert!(!file.text.contains(word), "{} has {word}", file.path);
            }
            // Names of namespaces are no addresses, though they look like some.
            for at in file.text.match_indices("http://").map(|(at, _)| &file.text[at..]) {
                assert!(at.starts_with("http://www.w3.org/2000/svg\""), "{} leads elsewhere", file.path);
            }
        }
        let page = FILES[0].text;
        assert_eq!(page.matches("<script").count(), 1, "no script stands in the page itself");
        assert!(page.contains("<script type=\"module\" src=\"/ui/main.js\"></script>"));
        assert!(!page.contains("<style"));
    }
}
