//! Reads what Prometheus reads, as strictly as the format is written down: openmetrics.io, 1.0.

use std::collections::{BTreeMap, BTreeSet};

/// What one scrape holds.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// Name → type.
    pub(super) families: BTreeMap<String, String>,
    /// A sample as it is written, labels included → value.
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    pub(super) fn read(text: &str) -> Self {
        let Some(text) = text.strip_suffix("# EOF\n") else {
            panic!("it does not end in # EOF");
        };
        let mut page = Self::default();
        let mut current = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let known = page.families.insert(name.into(), kind.into());
                assert!(known.is_none(), "{name} comes twice");
                assert!(is_name(name), "{name} is no name");
                current = (name.to_owned(), kind.to_owned());
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.len() > 4, "{name}: {help}");
            } else {
                assert!(!line.starts_with('#'), "{line}");
                page.take(line, &current);
            }
        }
        page.check_histograms();
        page
    }

    fn take(&mut self, line: &str, (family, kind): &(String, String)) {
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let ending = name.strip_prefix(family.as_str());
        let ending = ending.unwrap_or_else(|| panic!("{name} stands under {family}"));
        let allowed: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => panic!("{family} is a {kind}"),
        };
        assert!(allowed.contains(&ending), "{name} is no {kind}");
        for (label, _) in labels(sample) {
            assert!(is_name(&label) && !label.starts_with("__"), "{label}");
        }
        let value: f64 = value.parse().unwrap();
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        let known = self.samples.insert(sample.into(), value);
        assert!(known.is_none(), "{sample} comes twice");
    }

    /// Buckets rise, and the last one holds everything.
    fn check_histograms(&self) {
        let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (sample, value) in &self.samples {
            let Some((name, _)) = sample.split_once("_bucket{") else { continue };
            let mut labels = labels(sample);
            let bound = labels.iter().position(|(label, _)| label == "le").unwrap();
            let (_, bound) = labels.remove(bound);
            let key = written(&format!("{name}_count"), &labels);
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            series.entry(key).or_default().push((bound, *value));
        }
        for (count, mut buckets) in series {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{count}: {buckets:?}");
            let (bound, all) = buckets.last().copied().unwrap();
            assert!(bound.is_infinite(), "{count} has no endless bucket");
            assert_eq!(self.samples.get(&count), Some(&all), "{count}");
        }
    }

    /// The value of a sample, written as it stands there.
    pub(super) fn value(&self, sample: &str) -> f64 {
        let found = self.samples.get(sample).copied();
        found.unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples.keys()))
    }

    /// The names of all samples that there may be.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let endings = |kind: &str| match kind {
            "counter" => vec!["_total"],
            "histogram" => vec!["_bucket", "_sum", "_count"],
            _ => vec![""],
        };
        let names = self.families.iter().flat_map(|(name, kind)| {
            endings(kind).into_iter().map(move |ending| format!("{name}{ending}"))
        });
        names.collect()
    }

    /// Every label value there is.
    pub(super) fn label_values(&self) -> BTreeSet<String> {
        self.samples.keys().flat_map(|sample| labels(sample)).map(|(_, value)| value).collect()
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter))
}

/// Values of ours need no escapes, so there are none.
fn labels(sample: &str) -> Vec<(String, String)> {
    let Some((_, inside)) = sample.split_once('{') else { return vec![] };
    let inside = inside.strip_suffix('}').unwrap();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
        assert!(!value.contains(['"', '\\', '\n']), "{value}");
        (name.to_owned(), value.to_owned())
    };
    inside.split(',').map(pair).collect()
}

fn written(name: &str, labels: &[(String, String)]) -> String {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}
