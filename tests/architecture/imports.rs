//! Finds files that import each other, directly or through other files.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// Path of a module from src/.
type Module<'a> = Vec<&'a str>;

/// Files by the files that they import.
type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Returns each group of files that import each other, as one line of sorted paths. A module and its submodules may refer to
/// each other.
pub(super) fn cycles(sources: &[Source]) -> Vec<String> {
    let graph = graph(sources);
    let reachable: Graph<'_> = graph.keys().map(|&file| (file, reachable(&graph, file))).collect();
    let group = |file: &&str| -> Vec<&str> {
        reachable[file].iter().copied().filter(|other| reachable[other].contains(file)).collect()
    };
    let groups: BTreeSet<Vec<&str>> = graph.keys().map(group).filter(|files| files.len() > 1).collect();
    groups.into_iter().map(|files| files.join(", ")).collect()
}

fn graph(sources: &[Source]) -> Graph<'_> {
    let files = sources.iter().map(|source| (module(&source.path), source.path.as_str())).collect();
    sources.iter().map(|source| (source.path.as_str(), imports(source, &files))).collect()
}

fn imports<'a>(source: &'a Source, files: &BTreeMap<Module<'a>, &'a str>) -> BTreeSet<&'a str> {
    let own = module(&source.path);
    let targets = paths(source).into_iter().filter_map(|path| {
        // The longest prefix that is a file: the rest are items in it.
        let target = (1..=path.len()).rev().map(|length| &path[..length]).find(|path| files.contains_key(*path))?;
        let is_related = target.starts_with(&own) || own.starts_with(target);
        (!is_related).then(|| files[target])
    });
    targets.collect()
}

fn reachable<'a>(graph: &Graph<'a>, start: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
    while let Some(file) = open.pop() {
        for &target in &graph[file] {
            if seen.insert(target) {
                open.push(target);
            }
        }
    }
    seen
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are the module `a::b`; `src/bin/a/main.rs` is `bin::a`.
fn module(path: &str) -> Module<'_> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").trim_end_matches("/main").split('/').collect()
}

/// Returns the module that `crate` stands for: every binary is a crate.
fn root<'a>(own: &[&'a str]) -> Module<'a> {
    if own.first() == Some(&"bin") { own[..own.len().min(2)].to_vec() } else { Vec::new() }
}

/// Returns all paths that begin with `crate`, `super` or `self`, from src/.
fn paths(source: &Source) -> Vec<Module<'_>> {
    let own = module(&source.path);
    let mut paths = Vec::new();
    for (keyword, parents) in [("crate::", None), ("super::", Some(1)), ("self::", Some(0))] {
        for (at, _) in source.code.match_indices(keyword) {
            let before = source.code[..at].chars().next_back();
            // `a::super::` cannot occur, and `super::super::` is handled from its start.
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let base = parents.map_or_else(|| root(&own), |parents| own[..own.len().saturating_sub(parents)].to_vec());
            expand(&base, &source.code[at + keyword.len()..], &mut paths);
        }
    }
    paths
}

/// Follows a path, and each branch of a `{..}` group.
fn expand<'a>(base: &[&'a str], rest: &'a str, paths: &mut Vec<Module<'a>>) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        super::source::top_level(group).into_iter().for_each(|branch| expand(base, branch, paths));
        return;
    }
    let name = super::source::first_word(rest);
    let mut path = base.to_vec();
    match name {
        "" | "self" => {}
        "super" => drop(path.pop()),
        name => path.push(name),
    }
    match rest[name.len()..].strip_prefix("::") {
        Some(rest) => expand(&path, rest, paths),
        None => paths.push(path),
    }
}
