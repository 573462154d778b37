//! Steps and memory of expensive rules, and what they cost other series.

use super::super::*;
use super::*;
use crate::model::budget::Unlimited;
use crate::model::series::{Metadata, MetadataKind};

type Pairs = Vec<(String, String)>;

fn configs(text: &str) -> RelabelConfigs {
    RelabelConfigs::parse(text).expect("rules")
}

fn pairs(labels: &Pairs) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Returns the result and the steps of a series.
fn relabel(configs: &RelabelConfigs, labels: &Pairs) -> (Relabelled, u64) {
    let mut work = Work::default();
    (configs.relabel_next(pairs(labels), &mut work), work.used())
}

fn many_labels(count: usize) -> Pairs {
    (0..count).map(|number| (format!("l{number:06}"), "value".to_owned())).collect()
}

fn long_label(length: usize) -> Pairs {
    vec![("a".to_owned(), "xxy".repeat(length / 3))]
}

const ALL_ACTIONS: [&str; 16] = [
    "{source_labels: [a], target_label: b}",
    "{source_labels: [a, l000001], regex: (.*)y(.*), target_label: b, replacement: $2$1}",
    "{source_labels: [a], regex: '(x*)(y*)(.*)', target_label: $1}",
    "{source_labels: [a], regex: '(.{8}).*', target_label: a}",
    "{action: keep, source_labels: [a], regex: 'x.*|'}",
    "{action: drop, source_labels: [a], regex: .*z}",
    "{action: drop, source_labels: [a], regex: z|y}",
    "{action: keepequal, source_labels: [a], target_label: a}",
    "{action: dropequal, source_labels: [a], target_label: b}",
    "{action: hashmod, source_labels: [a], modulus: 8, target_label: b}",
    "{action: lowercase, source_labels: [a], target_label: b}",
    "{action: uppercase, source_labels: [a], target_label: a}",
    "{action: labelmap, regex: l(.*), replacement: a$1}",
    "{action: labelmap, regex: l(.*), replacement: a}",
    "{action: labeldrop, regex: l.*1}",
    "{action: labelkeep, regex: l.*1|a}",
];

#[test]
fn steps_grow_linearly_with_labels_and_rules() {
    for rule in ALL_ACTIONS {
        for (labels, sizes) in [
            (many_labels as fn(usize) -> Pairs, [500, 1_000, 2_000, 4_000]),
            (long_label, [3_000, 6_000, 12_000, 24_000]),
        ] {
            let steps = sizes.map(|size| relabel(&configs(&format!("[{rule}]")), &labels(size)).1);
            for step in steps.windows(2) {
                assert!(step[1] <= 2 * step[0] + 100, "{rule}: {steps:?} for {sizes:?}");
            }
            let per_byte =
                steps[3] / pairs(&labels(sizes[3])).map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
            assert!(per_byte <= 40, "{rule}: {per_byte} steps for each byte");
        }
        let rules = |count: usize| configs(&format!("- &r {rule}\n{}", "- *r\n".repeat(count - 1)));
        let [one, ten] = [1, 10].map(|count| relabel(&rules(count), &many_labels(100)).1);
        // `labelmap` doubles the number of labels.
        assert!(ten <= 20 * one, "{rule}: {one} and {ten}");
    }
}

#[test]
fn rule_that_grows_labels_exceeds_a_limit() {
    let repeated = |rule: &str, count| format!("- &r {{{rule}}}\n{}", "- *r\n".repeat(count));
    let long = long_label(3_000_000);
    for (rules, labels, rule) in [
        (repeated("source_labels: [a], target_label: a, replacement: $1$1", 999), long_label(3), 15),
        (
            repeated("source_labels: [a], regex: '(x*)(.*)', target_label: a, replacement: $1$2$2$1", 999),
            long_label(3),
            15,
        ),
        (repeated("action: labelmap, regex: (.*), replacement: a_$1", 999), many_labels(100), 21),
        (
            repeated(&format!("source_labels: [a], target_label: b, replacement: {}", "$1".repeat(500)), 0),
            long.clone(),
            1,
        ),
        (repeated(&format!("source_labels: [{}], target_label: b", "a,".repeat(150)), 0), long, 1),
    ] {
        let Relabelled::Exceeded(exceeded) = relabel(&configs(&rules), &labels).0 else { panic!("{rules}") };
        assert_eq!((exceeded.limit, exceeded.rule), (RuleLimit::Size, rule), "{rules}");
    }
    let copied = configs("[{source_labels: [a], target_label: b}]");
    assert!(matches!(relabel(&copied, &long_label(3_000_000)).0, Relabelled::Changed(_)), "a label may be copied");
}

#[test]
fn rule_with_many_steps_exceeds_a_limit() {
    let hash = "{action: hashmod, source_labels: [a], modulus: 8, target_label: b}";
    let groups = format!("{{source_labels: [a], target_label: b, regex: '{}.*'}}", "(x|y)?".repeat(600));
    let active = "{action: drop, source_labels: [a], regex: '.*x.{900}'}";
    for (rule, count, labels, expected) in [
        (active, 4, long_label(2_048), None),
        (active, 1, long_label(200_000), Some(1)),
        (&groups, 4, long_label(2_048), None),
        (hash, 100, long_label(2_048), None),
        (hash, 100, long_label(1_200_000), Some(28)),
    ] {
        let rules = format!("- &r {rule}\n{}", "- *r\n".repeat(count - 1));
        let (result, steps) = relabel(&configs(&rules), &labels);
        let exceeded = match result {
            Relabelled::Exceeded(RuleLimitExceeded { rule, limit: RuleLimit::Steps }) => Some(rule),
            _ => None,
        };
        assert_eq!(exceeded, expected, "{rule}: {steps} steps");
    }
}

#[test]
fn texts_with_many_states_are_matched_by_both_engines() {
    // The lazy DFA gives up: each byte has a state of its own.
    let rules = configs("[{source_labels: [a], regex: '(.*)x(.{500})', target_label: b, replacement: $2}]");
    let (mut work, mut state) = (Work::default(), 1_u32);
    for length in (400..2_048).step_by(50) {
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state & (1 << 20) == 0 { 'x' } else { 'y' }
        });
        let text: String = noise.take(length).collect();
        let expected = text.len().checked_sub(501).filter(|&at| text.as_bytes()[at] == b'x').map(|at| &text[at + 1..]);
        let labels = vec![("a".to_owned(), text.clone())];
        match rules.relabel_next(pairs(&labels), &mut work) {
            Relabelled::Changed(labels) => assert_eq!(labels.get("b"), expected, "{text}"),
            other => assert_eq!((other, expected), (Relabelled::Unchanged, None), "{text}"),
        }
    }
}

/// Returns a batch with a series for each value of the label `a`.
fn batch(values: &[String]) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    for (number, value) in values.iter().enumerate() {
        let id = batch.series([("__name__", "m"), ("a", value.as_str()), ("n", number.to_string().as_str())]);
        batch.add_sample(id, 1, 1.0);
    }
    batch
}

#[test]
fn expensive_series_costs_itself() {
    let rules = "- &r {source_labels: [a], target_label: a, regex: 'x(.*)', replacement: x$1$1}\n".to_owned()
        + &"- *r\n".repeat(99);
    let rules = Rules { configs: configs(&rules), ..Rules::default() };
    let applied = rules.apply(batch(&["xy".to_owned(), "y".to_owned()]), &Unlimited).expect("no limit");
    assert_eq!(
        (applied.batch.len(), applied.rejected.to_string().as_str()),
        (
            1,
            "1 labels_too_large: a series of m: rule 17 adds more than 64 KiB to labels that it also doubles: make the replacement \
             shorter, or drop long labels before it"
        )
    );
}

#[test]
fn steps_take_time_of_the_budget() {
    use crate::model::budget::{Budget, BudgetExceeded};
    use std::cell::Cell;

    #[derive(Default)]
    struct Checks(Cell<usize>);

    impl Budget for Checks {
        fn reserve(&self, _bytes: usize) -> Result<(), BudgetExceeded> {
            self.0.set(self.0.get() + 1);
            if self.0.get() > 1_000 { Err(BudgetExceeded::Time) } else { Ok(()) }
        }
    }

    let hashes =
        "- &r {action: hashmod, source_labels: [a], modulus: 8, target_label: b}\n".to_owned() + &"- *r\n".repeat(99);
    let rules = Rules { configs: configs(&hashes), ..Rules::default() };
    let result = rules.apply(batch(&["v".repeat(100_000)]), &Checks::default());
    assert_eq!(result.map(|applied| applied.batch.len()), Err(BudgetExceeded::Time));
    let result = rules.configs.scraped(batch(&["v".repeat(100_000)]), Default::default(), &Checks::default());
    assert_eq!(result.map(|scraped| scraped.dropped), Err(RelabelError::Budget(BudgetExceeded::Time)));
}

#[test]
fn expensive_series_of_a_page_is_named() {
    let rules =
        configs(&("- &r {source_labels: [a], target_label: a, replacement: $1$1}\n".to_owned() + &"- *r\n".repeat(99)));
    let error = rules.scraped(batch(&["v".to_owned()]), Default::default(), &Unlimited).expect_err("too large");
    let expected = "metric_relabel_configs, for a series of m: rule 17 adds more than 64 KiB";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn metadata_is_copied_to_a_limited_number_of_names() {
    let mut batch = batch(&(0..10_000).map(|number| format!("name_{number:05}")).collect::<Vec<_>>());
    for family in ["m", "other"] {
        let (kind, help) = (MetadataKind::Gauge, "h".repeat(10_000));
        batch.add_metadata(Metadata { family: family.into(), kind, help, unit: String::new() });
    }
    let id = batch.series([("__name__", "other")]);
    batch.add_sample(id, 1, 1.0);
    let rules =
        Rules { configs: configs("[{source_labels: [a], regex: (.+), target_label: __name__}]"), ..Rules::default() };
    let applied = rules.apply(batch, &Unlimited).expect("no limit");
    let metadata = applied.batch.metadata();
    assert_eq!((applied.batch.len(), metadata.len()), (10_001, 105));
    assert!(metadata.iter().any(|metadata| metadata.family == "other"));
}

#[test]
fn rules_with_the_same_expression_share_it() {
    // Alone, a rule takes up to 1 MiB.
    let rules = |other: &str| format!("- &r {{action: keep, regex: '.{{600}}'}}\n{}{other}", "- *r\n".repeat(900));
    assert!(RelabelConfigs::parse(&rules("")).is_ok());
    let others: String = (0..99).map(|number| format!("- {{action: keep, regex: '.{{600}}{number}'}}\n")).collect();
    let error = RelabelConfigs::parse(&rules(&others)).expect_err("too large").to_string();
    assert!(error.contains("takes too much memory"), "{error}");
}

#[test]
fn cheap_series_never_lack_steps() {
    let mut work = Work::default();
    let mut take = |steps: u64| {
        work.start(0);
        let result = work.spend(usize::try_from(steps).unwrap());
        work.finish(&Unlimited).unwrap();
        result
    };
    let expensive = (0..1_000).filter(|_| take(MAX_STEPS).is_ok()).count();
    assert_eq!(expensive as u64, SHARED_STEPS / MAX_STEPS);
    assert_eq!((take(OWN_STEPS + 1), take(OWN_STEPS)), (Err(RuleLimit::Steps), Ok(())));
    assert_eq!(take(MAX_STEPS + 1), Err(RuleLimit::Steps));
}

#[test]
fn many_rules_without_effect_never_lack_steps() {
    let mut work = Work::default();
    while work.spend(usize::try_from(MAX_STEPS).unwrap()).is_ok() {
        work.finish(&Unlimited).unwrap();
        work.start(0);
    }
    work.finish(&Unlimited).unwrap();
    let labels = [("__name__", "up"), ("instance", "10.0.0.7:9090"), ("job", "cart")];
    for rule in
        ["source_labels: [a], target_label: a, replacement: $1$1", "source_labels: [job], regex: x.*y, target_label: b"]
    {
        let rules = configs(&format!("- &r {{{rule}}}\n{}", "- *r\n".repeat(999)));
        assert_eq!(rules.relabel_next(labels.into_iter(), &mut work), Relabelled::Unchanged, "{rule}");
        work.finish(&Unlimited).unwrap();
    }
}
