use proptest::prelude::*;

use super::compile::Leaves;
use super::*;
use crate::record::{Envelope, Range, Record, Span, Tree, Value};

/// A value of a record in tests.
#[derive(Clone, Debug)]
enum Is {
    Empty,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    List(Vec<Is>),
    Map(Vec<(String, Is)>),
}

use Is::{Bool, Double, Int};

fn text(it: &str) -> Is {
    Is::Text(it.as_bytes().to_vec())
}

fn list(items: &[&str]) -> Is {
    Is::List(items.iter().map(|it| text(it)).collect())
}

fn push(key: &str, value: &Is, tree: &mut Tree) {
    let key = if key.is_empty() { Span::EMPTY } else { tree.side_text(key.as_bytes()) };
    let value = match value {
        Is::Empty => Value::Empty,
        Is::Bool(it) => Value::Bool(*it),
        Is::Int(it) => Value::Int(*it),
        Is::Double(it) => Value::Double(*it),
        Is::Text(it) => Value::Text(tree.side_text(it)),
        Is::Bytes(it) => Value::Bytes(tree.side_text(it)),
        Is::List(items) => {
            let mark = tree.open(key, Value::Array { nodes: 0 });
            items.iter().for_each(|item| push("", item, tree));
            return tree.close(mark);
        }
        Is::Map(members) => {
            let mark = tree.open(key, Value::Kvlist { nodes: 0 });
            members.iter().for_each(|(key, member)| push(key, member, tree));
            return tree.close(mark);
        }
    };
    tree.push(key, value);
}

fn siblings<'a>(values: impl IntoIterator<Item = (&'a str, &'a Is)>, tree: &mut Tree) -> Range {
    let start = tree.position();
    values.into_iter().for_each(|(key, value)| push(key, value, tree));
    Range { start, end: tree.position() }
}

struct Made {
    record: Record,
    envelope: Envelope,
}

impl Made {
    fn new(attributes: &[(&str, Is)], resource: &[(&str, Is)]) -> Made {
        let mut made = Made { record: Record::default(), envelope: Envelope::default() };
        made.record.attributes = siblings(attributes.iter().map(|(k, v)| (*k, v)), &mut made.record.tree);
        made.record.body = siblings([("", &text("GET /api 503"))], &mut made.record.tree);
        made.record.severity_number = 17;
        made.record.severity_text = made.record.tree.side_text(b"ERROR");
        made.envelope.resource_attributes = siblings(resource.iter().map(|(k, v)| (*k, v)), &mut made.envelope.tree);
        made
    }

    fn view(&self) -> RecordRef<'_> {
        RecordRef::new(b"", &self.record, &self.envelope)
    }
}

fn http() -> Made {
    Made::new(
        &[
            ("http.request.method", text("GET")),
            ("url.path", text("/api/v1/users")),
            ("http.request.header.accept", list(&["text/html", "*/*"])),
            ("http.response.status_code", Int(200)),
            ("http.response.status_code", Int(503)),
            ("envoy.response_flags", list(&["UF", "URX"])),
            ("envoy.duration_ms", Int(-3)),
            ("ratio", Double(0.5)),
            ("nan", Double(f64::NAN)),
            ("tls", Bool(true)),
            ("nothing", Is::Empty),
            ("bad", Is::Text(b"a\xffb".to_vec())),
            ("nested", Is::Map(vec![("url.path".to_owned(), text("/other")), ("k".to_owned(), Int(1))])),
            ("kuma.source.service", text("web")),
        ],
        &[("kuma.mesh", text("default")), ("host.name", text("node-1"))],
    )
}

fn tcp() -> Made {
    Made::new(&[("kuma.mesh", text("other")), ("envoy.response_flags", text("-"))], &[("kuma.mesh", text("default"))])
}

/// Both ways of evaluating it say the same.
fn verdict(condition: &str, record: &Made) -> Verdict {
    let compiled = Condition::compile(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
    let interpreted = Condition::compile_as(condition, Leaves::Interpreted).unwrap();
    let got = compiled.verdict(&record.view());
    assert_eq!(got, interpreted.verdict(&record.view()), "interpreted: {condition}");
    got
}

fn check(condition: &str, on_http: Verdict, on_tcp: Verdict) {
    assert_eq!((verdict(condition, &http()), verdict(condition, &tcp())), (on_http, on_tcp), "{condition}");
}

use Verdict::{Failed, No, Yes};

#[test]
fn names() {
    check("status == 503", Yes, No);
    check("flags == 'UF,URX'", Yes, No);
    check("method == 'GET'", Yes, No);
    check("path == '/api/v1/users'", Yes, No);
    check("mesh == 'default'", Yes, No);
    check("mesh == 'other'", No, Yes);
    check("source == 'web'", Yes, No);
    check("destination == ''", No, No);
    check("duration_ms == -3", Yes, No);
    check("severity == 'ERROR'", Yes, Yes);
    check("severity_number >= 17", Yes, Yes);
    check("body.endsWith('503')", Yes, Yes);
    check("resource['host.name'] == 'node-1'", Yes, No);
    check("attributes['kuma.source.service'] == 'web'", Yes, No);
    check("attributes.ratio < 1", Yes, No);
    check("attributes['tls']", Yes, No);
    check("attributes.nested.k == 1", Yes, No);
    check("attributes['http.request.header.accept'][0] == 'text/html'", Yes, No);
}

#[test]
fn a_part_that_reads_what_is_absent_is_false() {
    check("status >= 500", Yes, No);
    check("status < 500", No, No);
    check("status != 200", Yes, No);
    check("!(status == 503)", No, Yes);
    check("!path.startsWith('/health')", Yes, Yes);
    check("path.matches('^/api') || mesh == 'other'", Yes, Yes);
    check("size(path) > 3", Yes, No);
    check("status + 1 > 500", Yes, No);
    check("attributes['nothing'] == null", No, No);
    check("attributes['nothing'] != 'x'", No, No);
    check("attributes[method] == 'x'", No, No);
    check("has(attributes.ratio)", Yes, No);
    check("has(attributes.nothing)", No, No);
    check("'url.path' in attributes", Yes, No);
    check("'nothing' in attributes", No, No);
    check("has(attributes.nested.k)", Yes, No);
}

#[test]
fn flags_are_a_text_and_a_list_and_never_absent() {
    check("flags != ''", Yes, No);
    check("flags == ''", No, Yes);
    check("'UF' in flags", Yes, No);
    check("'U' in flags", No, No);
    check("!('UF' in flags)", No, Yes);
    check("flags.contains('URX')", Yes, No);
    check("flags.exists(x, x.startsWith('UR'))", Yes, No);
    check("flags[1] == 'URX'", Yes, Failed);
    check("size(flags) == 6", Yes, No);
    check("flags in ['UF', 'UF,URX']", Yes, No);
    check("flags < 'V'", Yes, Yes);
}

#[test]
fn operators() {
    check("500 <= status && status < 600", Yes, No);
    check("status in [500, 503, 504]", Yes, No);
    check("status in [500, 'x', 1.0]", No, No);
    check("method in ['GET', 'HEAD'] && path.contains('/v1/')", Yes, No);
    check("path.endsWith('users') || status == 1", Yes, No);
    check("status > 502.5 && status < 503.5", Yes, No);
    check("attributes.ratio == 0.5 && attributes.ratio < 1 && attributes.ratio != 1", Yes, No);
    check("status == 503u", Yes, No);
    check("true", Yes, Yes);
    check("!true || false", No, No);
    check("status == 503 ? path != '' : true", Yes, No);
    check("attributes['bad'] < 'b' && attributes['bad'].contains('b')", Yes, No);
    check("attributes['bad'] == 'a\u{fffd}b'", Yes, No);
    check("attributes['bad'].matches('^a.b$')", Yes, No);
    check("type(status) == int", Yes, No);
    check("source == destination || source == attributes['kuma.source.service']", Yes, No);
}

#[test]
fn what_cannot_be_evaluated_counts_as_false() {
    check("attributes['kuma.source.service'] > 5", Failed, No);
    check("attributes['kuma.source.service'] == 5", No, No);
    check("attributes['ratio'].startsWith('0')", Failed, No);
    check("attributes['nan'] > 1", Failed, No);
    check("attributes['nan'] != 1", Yes, No);
    check("!(attributes['ratio'] == '0.5')", Yes, Yes);
    check("attributes['ratio']", Failed, No);
    check("attributes['ratio'] || status == 503", Yes, No);
    check("attributes['ratio'] && status == 1", No, No);
    check("!attributes['ratio']", Failed, Yes);
    check("status / 0 == 1", Failed, No);
    check("attributes['tls'] < 1", Failed, No);
}

fn refused(condition: &str, at: usize, message: &str, help: &str) {
    let error = Condition::compile(condition).expect_err(condition);
    assert!(error.message.contains(message) && error.help.contains(help), "{condition}: {error:?}");
    assert_eq!(error.at, at, "{condition}: {error:?}");
}

#[test]
fn mistakes() {
    refused("statsu >= 500", 1, "there is no `statsu`", "did you mean `status`?");
    refused("status >= 500 && http.x == 1", 18, "there is no `http`", "accepted: status");
    refused("status >= 500 &&", 17, "not CEL", "status >= 500");
    refused("status = 500", 8, "not CEL", "write == to compare");
    refused("status == 1 or true", 13, "not CEL", "&& for and");
    refused("flags == '", 10, "not CEL", "status >= 500");
    refused("path.startWith('/a')", 15, "`startWith` is no function", "did you mean `startsWith`?");
    refused("lower(path) == 'a'", 6, "`lower` is no function", "accepted: size");
    refused("f_g(path)", 4, "`f_g` is no function", "");
    refused("status", 1, "is a number, not true or false", "compare it");
    refused("path && status == 1", 1, "is a text, not true or false", "compare it");
    refused("!flags", 2, "is a text", "compare it");
    refused("status == '500'", 8, "a number is compared with a text", "quotes");
    refused("status == null", 8, "a number is compared", "");
    refused("status + 1", 8, "is a number", "compare it");
    refused("[1].exists(path, path == 1)", 11, "`path` has a meaning already", "another name");
    refused("path.matches('(')", 13, "not a regular expression", "RE2");
    refused("", 1, "empty", "remove the key");
    refused(" \n", 1, "empty", "remove the key");
    refused("X{a: 1}.b", 2, "messages", "");
    refused(&"(".repeat(30), 25, "brackets", "flatter");
    refused(&format!("1{}", "+1".repeat(1000)), 802, "operators", "in [..]");
    refused(&format!("1{} == 1", "+1".repeat(100)), 1, "levels deep", "in [..]");
    refused(&"x".repeat(5000), 1, "4096 bytes", "shorter");
}

#[test]
fn what_is_as_long_as_it_may_be_compiles_and_runs() {
    let many: Vec<String> = (0..100).map(|it| format!("status==50{it}")).collect();
    verdict(&many.join("||"), &http());
    verdict(&format!("{}status == 1{}", "(".repeat(24), ")".repeat(24)), &http());
    verdict(&format!("{}(status == 1)", "!".repeat(60)), &http());
    let codes: Vec<String> = (0..800).map(|it| it.to_string()).collect();
    assert_eq!(verdict(&format!("status in [{}]", codes.join(",")), &http()), Yes);
    verdict(&format!("1{} == 1", "+1".repeat(60)), &http());
}

fn taken(selection: &Selection, records: usize) -> (usize, LeftOut) {
    let (made, mut run) = (http(), selection.run());
    let taken = (0..records).filter(|_| run.takes(&made.view())).count();
    (taken, run.left_out())
}

#[test]
fn every_nth_of_what_is_left() {
    let selection = Selection::new(None, Some("1/20".parse().unwrap())).unwrap();
    assert_eq!(taken(&selection, 19), (0, LeftOut { filtered: 19, failed: 0 }));
    assert_eq!(taken(&selection, 1).0, 1);
    assert_eq!((0..100).map(|_| taken(&selection, 7).0).sum::<usize>(), 35);
    let nothing = Condition::compile("status == 1").unwrap();
    let both = Selection::new(Some(nothing), Some("1/2".parse().unwrap())).unwrap();
    assert_eq!(taken(&both, 10), (0, LeftOut { filtered: 10, failed: 0 }));
    assert!(Selection::new(None, Some("1/1".parse().unwrap())).is_none());
    assert!(Selection::new(None, None).is_none());
}

#[test]
fn runs_at_the_same_time_share_what_has_passed() {
    let selection = Selection::new(None, Some("1/10".parse().unwrap())).unwrap();
    let made = http();
    let mut taken = 0;
    for _ in 0..50 {
        let (mut one, mut other) = (selection.run(), selection.run());
        for _ in 0..3 {
            taken += usize::from(one.takes(&made.view())) + usize::from(other.takes(&made.view()));
        }
    }
    taken += usize::from(selection.run().takes(&made.view()));
    assert!((29..=31).contains(&taken), "{taken} of 301");
}

#[test]
fn descriptions() {
    let sample = Some("1/20".parse().unwrap());
    assert_eq!(describe(Some("status  >=\n500"), sample), "when status >= 500, 1/20");
    assert_eq!(describe(None, sample), "1/20");
    assert_eq!(describe(None, None), "");
}

fn any_value() -> impl Strategy<Value = Is> {
    let leaf = prop_oneof![
        Just(Is::Empty),
        any::<bool>().prop_map(Is::Bool),
        prop_oneof![Just(200), Just(500), Just(503), any::<i64>()].prop_map(Is::Int),
        prop_oneof![Just(500.0), Just(0.5), Just(f64::NAN), any::<f64>()].prop_map(Is::Double),
        prop_oneof![Just("/api"), Just(""), Just("GET"), Just("UF,UC"), Just("500")].prop_map(text),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Is::Text),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Is::Bytes),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Is::List),
            proptest::collection::vec(("[a-c]", inner), 0..3).prop_map(Is::Map),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Made> {
    let key = prop_oneof![
        Just("http.response.status_code"),
        Just("url.path"),
        Just("http.request.method"),
        Just("envoy.response_flags"),
        Just("envoy.duration_ms"),
        Just("kuma.mesh"),
        Just("a"),
        Just("b.c"),
    ];
    let values = || proptest::collection::vec((key.clone(), any_value()), 0..6);
    (values(), values()).prop_map(|(attributes, resource)| Made::new(&attributes, &resource))
}

fn any_expression() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        Just("status"),
        Just("duration_ms"),
        Just("flags"),
        Just("method"),
        Just("path"),
        Just("mesh"),
        Just("body"),
        Just("attributes['a']"),
        Just("attributes.a"),
        Just("attributes['b.c']"),
        Just("resource['kuma.mesh']"),
        Just("severity"),
        Just("severity_number"),
        Just("500 "),
        Just("'/api'"),
    ];
    let literal = prop_oneof![
        Just("500"),
        Just("-1"),
        Just("0.5"),
        Just("500.0"),
        Just("'/api'"),
        Just("''"),
        Just("\"GET\""),
        Just("true"),
        Just("'UF,UC'"),
        Just("'\u{fffd}'"),
        Just("500u"),
        Just("null"),
        Just("b'x'"),
        Just("path"),
    ];
    let order = prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let search = prop_oneof![Just("startsWith"), Just("endsWith"), Just("contains"), Just("matches")];
    let leaf = prop_oneof![
        4 => (field.clone(), order.clone(), literal.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        1 => (literal.clone(), order, field.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        2 => (field.clone(), search, literal.clone()).prop_map(|(a, s, b)| format!("{a}.{s}({b})")),
        2 => (field.clone(), proptest::collection::vec(literal.clone(), 0..4))
            .prop_map(|(a, b)| format!("{a} in [{}]", b.join(","))),
        2 => (literal, prop_oneof![Just("flags"), Just("attributes"), Just("attributes.a"), Just("resource")])
            .prop_map(|(a, b)| format!("{a} in {b}")),
        1 => prop_oneof![Just("has(attributes.a)"), Just("attributes.a"), Just("has(resource.a)"), Just("false")]
            .prop_map(str::to_owned),
        1 => field.prop_map(|it| format!("[{it}].exists(x, x == 500)")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|it| format!("!({it})")),
        ]
    })
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.view().attributes()).entries(self.view().envelope().resource_attributes()).finish()
    }
}

proptest! {
    #[test]
    fn compiled_says_what_is_interpreted(expression in any_expression(), record in any_record()) {
        let compiled = Condition::compile(&expression);
        let interpreted = Condition::compile_as(&expression, Leaves::Interpreted);
        if let (Ok(compiled), Ok(interpreted)) = (&compiled, &interpreted) {
            prop_assert_eq!(compiled.verdict(&record.view()), interpreted.verdict(&record.view()));
        } else {
            prop_assert!(compiled.is_err(), "{:?}", interpreted);
        }
    }

    #[test]
    fn any_text_compiles_or_is_refused(text in any::<String>()) {
        let _ = Condition::compile(&text);
    }

    #[test]
    fn any_words_compile_or_are_refused(words in proptest::collection::vec(prop_oneof![
        Just("status"), Just("flags"), Just("("), Just(")"), Just("["), Just("]"), Just("{"), Just("}"), Just("&&"),
        Just("||"), Just("!"), Just("-"), Just("=="), Just("<"), Just("in"), Just("?"), Just(":"), Just("."), Just(","),
        Just("'a'"), Just("\""), Just("'"), Just("9"), Just("9u"), Just("1e9"), Just("has("), Just(".exists(x,"),
        Just(".map("), Just("r'"), Just("'''"), Just("\\"), Just("b'"), Just("\u{1f600}"), Just("99999999999999999999"),
        Just("0x"), Just("//"), Just("\n"), Just("`"), Just("@"), Just("true"), Just("null"), Just("size("),
    ], 0..24)) {
        let text = words.join(" ");
        if let Ok(condition) = Condition::compile(&text) {
            let _ = condition.verdict(&http().view());
        }
        let _ = Condition::compile(&words.concat());
    }
}
