//! Figures that were read somewhere else, written down as metrics.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::flows::tally::Spread;

/// One metric with its values.
#[derive(Debug)]
pub(super) struct Figure {
    name: &'static str,
    help: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Gauges(Vec<(Labels, f64)>),
    Counters(Vec<(Labels, f64)>),
    Histograms(Vec<(Labels, Buckets)>),
}

/// Label names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// How often something fell into each bucket, up to its bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Buckets {
    /// (upper bound, count); the last bound is endless.
    pub(super) counts: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl<const N: usize> From<&Spread<N>> for Buckets {
    fn from(spread: &Spread<N>) -> Self {
        Self { counts: spread.buckets(), sum: spread.sum().as_secs_f64() }
    }
}

impl Figure {
    /// `None`: not known, so only the metric's name is shown.
    pub(super) fn gauge(
        name: &'static str,
        help: &'static str,
        value: impl Into<Option<f64>>,
    ) -> Self {
        let values = value.into().map(|value| (Labels::new(), value));
        Self { name, help, values: Values::Gauges(values.into_iter().collect()) }
    }

    pub(super) fn gauges(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (impl Into<String>, f64)>,
    ) -> Self {
        Self { name, help, values: Values::Gauges(labelled(label, values)) }
    }

    /// With more than one label.
    pub(super) fn gauges_by(
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Self {
        Self { name, help, values: Values::Gauges(values.into_iter().collect()) }
    }

    pub(super) fn counters(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (impl Into<String>, f64)>,
    ) -> Self {
        Self { name, help, values: Values::Counters(labelled(label, values)) }
    }

    pub(super) fn counter(
        name: &'static str,
        help: &'static str,
        value: impl Into<Option<f64>>,
    ) -> Self {
        Self::counters_by(name, help, value.into().map(|value| (Labels::new(), value)))
    }

    /// With more than one label.
    pub(super) fn counters_by(
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Self {
        Self { name, help, values: Values::Counters(values.into_iter().collect()) }
    }

    pub(super) fn histograms(
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = (Labels, Buckets)>,
    ) -> Self {
        Self { name, help, values: Values::Histograms(values.into_iter().collect()) }
    }
}

fn labelled(
    label: &'static str,
    values: impl IntoIterator<Item = (impl Into<String>, f64)>,
) -> Vec<(Labels, f64)> {
    values.into_iter().map(|(of, value)| (vec![(label, of.into())], value)).collect()
}

/// A count. Exact up to 2^53, which no counter of ours reaches.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// Seconds since 1970, 0 for never.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn moment(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_second() as f64)
}

/// How long ago; 0 if nothing waits.
pub(super) fn age(since: Option<Timestamp>, now: Timestamp) -> f64 {
    since.map_or(0.0, |since| {
        Duration::try_from(now.duration_since(since)).unwrap_or_default().as_secs_f64()
    })
}

/// A scrape's figures.
#[derive(Debug)]
pub(super) struct Figures(Vec<Figure>);

impl Figures {
    pub(super) fn new(figures: Vec<Figure>) -> Self {
        Self(figures)
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|figure| write(figure, &mut encoder))
    }
}

fn write(figure: &Figure, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = match figure.values {
        Values::Gauges(_) => MetricType::Gauge,
        Values::Counters(_) => MetricType::Counter,
        Values::Histograms(_) => MetricType::Histogram,
    };
    let mut metric = encoder.encode_descriptor(figure.name, figure.help, None, kind)?;
    match &figure.values {
        Values::Gauges(values) => values
            .iter()
            .try_for_each(|(labels, value)| with(&mut metric, labels, |to| to.encode_gauge(value))),
        Values::Counters(values) => values.iter().try_for_each(|(labels, value)| {
            with(&mut metric, labels, |to| to.encode_counter::<NoLabelSet, f64, f64>(value, None))
        }),
        Values::Histograms(values) => values.iter().try_for_each(|(labels, buckets)| {
            let count = buckets.counts.iter().map(|(_, count)| count).sum();
            with(&mut metric, labels, |to| {
                to.encode_histogram::<NoLabelSet>(buckets.sum, count, &buckets.counts, None)
            })
        }),
    }
}

fn with(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        return write(metric);
    }
    write(&mut metric.encode_family(labels)?)
}
