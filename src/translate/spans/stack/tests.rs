use super::*;

type Entry<'a> = (&'a str, i64, &'a str);

fn frames<'a>(stack: &'a [StackFrame<'_>]) -> Vec<Entry<'a>> {
    stack.iter().map(|frame| (frame.path.as_ref(), frame.line, frame.label.as_ref())).collect()
}

fn causes<'a>(stack: &'a StackTrace<'_>) -> Vec<(&'a str, &'a str, Vec<Entry<'a>>)> {
    stack.causes.iter().map(|cause| (cause.kind.as_ref(), cause.message.as_ref(), frames(&cause.frames))).collect()
}

const JAVA: &str = "com.foo.BarException: boom
\tat com.foo.A.run(A.java:10)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\tat com.foo.N.call(Native Method)
\tSuppressed: java.io.IOException: close
\t\tat com.foo.S.close(S.java:1)
Caused by: java.io.IOException: disk
second line
\tat com.foo.B.read(B.java:5)
\t... 1 more
Caused by: java.lang.Error
\t... 2 more
";

#[test]
fn java_trace_has_causes() {
    let stack = parse(Language::Java, JAVA, Compat::Corrected);
    assert_eq!(
        frames(&stack.frames),
        [
            ("A.java", 10, "com.foo.A.run"),
            ("Thread.java", 840, "java.lang.Thread.run"),
            ("Native Method", 0, "com.foo.N.call")
        ]
    );
    assert_eq!(
        causes(&stack),
        [
            ("java.io.IOException", "disk\nsecond line", vec![("B.java", 5, "com.foo.B.read")]),
            ("java.lang.Error", "", vec![])
        ]
    );
}

#[test]
fn java_in_adot_mode_joins_message_lines() {
    let stack = parse(Language::Java, JAVA, Compat::Adot);
    assert_eq!(stack.causes[0].message, "disksecond line");
    assert_eq!((stack.causes[1].kind.as_ref(), stack.causes[1].message.as_ref()), ("java.lang.Error", "\t... 2 more"));
}

const PYTHON: &str = "Traceback (most recent call last):
  File \"foo.py\", line 5, in greet
    raise ValueError(\"bad\")
    ~~~~~^^^^^^^^^
ValueError: bad
more

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"mid.py\", line 7, in mid
    x
KeyError

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"main.py\", line 14, in <module>
    greet_many([])
  File \"a,b.py\", line 12, in greet_many
    greet(None)
TypeError: outer
";

#[test]
fn python_trace_has_causes_and_contexts() {
    let stack = parse(Language::Python, PYTHON, Compat::Corrected);
    assert_eq!(frames(&stack.frames), [("a,b.py", 12, "greet_many"), ("main.py", 14, "<module>")]);
    assert_eq!(
        causes(&stack),
        [("KeyError", "", vec![("mid.py", 7, "mid")]), ("ValueError", "bad\nmore", vec![("foo.py", 5, "greet")])]
    );
}

#[test]
fn python_in_adot_mode_has_contexts_only() {
    let text = "Traceback (most recent call last):
  File \"foo.py\", line 5, in greet
    raise ValueError
ValueError: bad

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"main.py\", line 14, in <module>
    greet_many([])
  File \"greetings.py\", line 12, in greet_many
    greet(None)
TypeError: outer
";
    let stack = parse(Language::Python, text, Compat::Adot);
    assert_eq!(frames(&stack.frames), [("greetings.py", 12, "greet_many"), ("main.py", 14, "<module>")]);
    assert_eq!(causes(&stack), [("ValueError", "bad", vec![("foo.py", 5, "greet")])]);
}

const V8: &str = "TypeError: x
    at speedy (/home/f.js:6:11)
    at new Foo (/x/y.js:3:1)
    at async bar (file:///x/z.mjs:30:5)
    at node:internal/process/task_queues:95:5
    at C:\\app\\a.js:1:2
    at Array.map (<anonymous>)
";

#[test]
fn javascript_paths_keep_schemes_and_drives() {
    let stack = parse(Language::from_sdk_language(b"nodejs", Compat::Corrected), V8, Compat::Corrected);
    assert_eq!(
        frames(&stack.frames),
        [
            ("/home/f.js", 6, "speedy"),
            ("/x/y.js", 3, "new Foo"),
            ("file:///x/z.mjs", 30, "async bar"),
            ("node:internal/process/task_queues", 95, ""),
            ("C:\\app\\a.js", 1, ""),
            ("<anonymous>", 0, "Array.map"),
        ]
    );
    let firefox = "run@https://shop.example/app.js:10:3\n@https://shop.example/app.js:2:1\n";
    let stack = parse(Language::from_sdk_language(b"webjs", Compat::Corrected), firefox, Compat::Corrected);
    assert_eq!(
        frames(&stack.frames),
        [("https://shop.example/app.js", 10, "run"), ("https://shop.example/app.js", 2, "")]
    );
}

#[test]
fn javascript_in_adot_mode_splits_at_first_colons() {
    assert_eq!(Language::from_sdk_language(b"nodejs", Compat::Adot), Language::Unknown);
    let stack = parse(Language::JavaScript, V8, Compat::Adot);
    assert_eq!(frames(&stack.frames)[..2], [("/home/f.js", 6, "speedy "), ("/x/y.js", 3, "new Foo ")]);
    assert_eq!(frames(&stack.frames)[3], ("node", 0, ""));
}

#[test]
fn dotnet_trace_has_locations_and_inner_exceptions() {
    let text = "System.Exception: outer
 ---> System.FormatException: inner
   at System.Int32.Parse(String s)
   --- End of inner exception stack trace ---
   at NS.P.Main(String[] a) in C:\\x\\P.cs:line 12
   at NS.Q.Run() in Q.cs:line
";
    let stack = parse(Language::DotNet, text, Compat::Corrected);
    let outer = [("C:\\x\\P.cs", 12, "NS.P.Main(String[] a)"), ("Q.cs", 0, "NS.Q.Run()")];
    assert_eq!(frames(&stack.frames), outer);
    let inner = ("", 0, "System.Int32.Parse(String s)");
    assert_eq!(causes(&stack), [("System.FormatException", "inner", vec![inner])]);
    let stack = parse(Language::DotNet, text, Compat::Adot);
    assert_eq!(frames(&stack.frames), [inner, outer[0], outer[1]]);
    assert!(stack.causes.is_empty());
}

#[test]
fn go_frame_has_two_lines() {
    let text = "goroutine 1 [running]:
main.f(0x1)
\t/app/main.go:42 +0x1d
goroutine 2 [running]:
main.g()
\t/app/g.go:7
main.dangling()";
    let stack = parse(Language::Go, text, Compat::Corrected);
    let two = [("/app/main.go", 42, "main.f(0x1)"), ("/app/g.go", 7, "main.g()")];
    assert_eq!(frames(&stack.frames)[..2], two);
    assert_eq!(frames(&stack.frames)[2], ("", 0, "main.dangling()"));
    let stack = parse(Language::Go, text, Compat::Adot);
    assert_eq!(frames(&stack.frames)[2], ("/app/g.go", 7, "main.dangling()"));
}

#[test]
fn rust_trace_can_have_no_locations() {
    let text = "   0: std::backtrace::Backtrace::create
             at /rustc/abc/library/std/src/backtrace.rs:331:13
   1: shop::pay
             at ./src/main.rs:10:5
   2: main
";
    let stack = parse(Language::Rust, text, Compat::Corrected);
    assert_eq!(
        frames(&stack.frames),
        [
            ("/rustc/abc/library/std/src/backtrace.rs", 331, "std::backtrace::Backtrace::create"),
            ("./src/main.rs", 10, "shop::pay"),
            ("", 0, "main"),
        ]
    );
}

#[test]
fn ruby_trace_has_causes() {
    let text = "/app/foo.rb:12:in `bar': outer (RuntimeError)
\tfrom /app/main.rb:3:in `<main>'
/app/foo.rb:5:in 'Foo#read': disk (IOError)
\tfrom /app/foo.rb:10:in 'Foo#bar'
";
    let stack = parse(Language::Ruby, text, Compat::Corrected);
    assert_eq!(frames(&stack.frames), [("/app/foo.rb", 12, "bar"), ("/app/main.rb", 3, "<main>")]);
    let inner = vec![("/app/foo.rb", 5, "Foo#read"), ("/app/foo.rb", 10, "Foo#bar")];
    assert_eq!(causes(&stack), [("IOError", "disk", inner)]);
}

const PIECES: [&str; 37] = [
    "",
    "\n",
    "\tat ",
    "(",
    ")",
    ":",
    "Caused by: ",
    "Caused by: X:",
    "  File ",
    "  File ,a,b",
    "  File \"",
    "\", line ",
    "During handling of the above exception, another exception occurred:",
    "    at ",
    "at a in b:line",
    " in ",
    "é",
    "😀",
    "goroutine 1 running:",
    "99999999999999999999",
    "from ",
    "a:1:in `",
    "'",
    " ---> ",
    "0: ",
    "\r\n",
    ",",
    "//",
    "/0x1.",
    " ---> A.B: ",
    "---> (Inner Exception #0) ",
    "<---",
    "--- End of inner exception stack trace ---",
    "eval at a (",
    "  + Exception Group Traceback (most recent call last):",
    "  +-+---------------- 1 ----------------",
    "      | ",
];

const LANGUAGES: [Language; 8] = [
    Language::Java,
    Language::Python,
    Language::JavaScript,
    Language::DotNet,
    Language::Go,
    Language::Rust,
    Language::Ruby,
    Language::Unknown,
];

#[test]
fn parsers_do_not_panic() {
    // Each sequence of three pieces, after a first line.
    for (a, b) in PIECES.iter().flat_map(|a| PIECES.iter().map(move |b| (a, b))) {
        for c in PIECES {
            let text = format!("x\n{a}{b}{c}\n{c}{b}\n{a}");
            for language in LANGUAGES {
                for compat in [Compat::Corrected, Compat::Adot] {
                    let _ = parse(language, &text, compat);
                }
            }
        }
    }
}

#[test]
fn parsers_take_linear_time() {
    // A parser that takes quadratic time would not end.
    for piece in PIECES.iter().filter(|piece| !piece.is_empty()) {
        for separator in ["", "\n"] {
            let text = format!("x\n    at {}", format!("{piece}{separator}").repeat(150_000 / (piece.len() + 1)));
            for language in LANGUAGES {
                let _ = parse(language, &text, Compat::Corrected);
            }
        }
    }
}
