//! The models that are known by name, with their windows, limits and prices, as of 2026-11-22. A price that is not
//! known for certain is not in here: an unknown cost is better than a wrong one.

use crate::base::text::distance;
use crate::chat::Usage;

/// A model.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its id at the provider.
    pub id: &'static str,
    /// Other ids of the same model.
    pub aliases: &'static [&'static str],
    /// The provider's name.
    pub provider: &'static str,
    /// The most tokens of input.
    pub window: Option<u64>,
    /// The most tokens of one reply.
    pub max_output: Option<u64>,
    /// What it costs.
    pub price: Option<Price>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy)]
pub struct Price {
    /// For prompts of ordinary length.
    pub rates: Rates,
    /// For longer ones: beyond so many tokens of input, all of the request is charged so.
    pub long: Option<(u64, Rates)>,
}

/// US dollars per million tokens of each kind; `None` where it is not known.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Input that no cache has to do with.
    pub input: f64,
    /// Output, reasoning included.
    pub output: f64,
    /// Input read from a cache.
    pub cache_read: Option<f64>,
    /// Input written to a cache.
    pub cache_write: Option<f64>,
}

/// What a reply cost, in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Input that no cache had to do with.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input read from a cache.
    pub cache_read: f64,
    /// Input written to a cache.
    pub cache_write: f64,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
        }
    }
}

impl Cost {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.input + self.output + self.cache_read + self.cache_write
    }
}

/// When the data below was checked.
pub const DATE: &str = "2026-11-22";

/// All models, newest first within each provider.
pub static MODELS: &[Model] = &[
    claude("claude-sonnet-5-5", 1_000_000, 128_000, Some(cached(2.0, 10.0, 0.10))),
    claude("claude-opus-5-5", 1_000_000, 128_000, Some(cached(4.0, 20.0, 0.20))),
    Model {
        price: Some(Price {
            rates: cached(0.10, 0.50, 0.01),
            long: Some((100_000, Rates { input: 0.50, output: 2.50, cache_read: None, cache_write: Some(0.625) })),
        }),
        ..claude("claude-haiku-5-5", 1_000_000, 128_000, None)
    },
    claude("claude-fable-5-2", 1_000_000, 128_000, Some(cached(8.0, 40.0, 0.20))),
    claude("claude-fable-5-1", 1_000_000, 128_000, Some(cached(10.0, 50.0, 0.25))),
    claude("claude-fable-5", 1_000_000, 128_000, Some(cached(10.0, 50.0, 1.00))),
    claude("claude-mythos-5-2", 1_000_000, 128_000, None),
    claude("claude-mythos-5-1", 1_000_000, 128_000, None),
    claude("claude-mythos-5", 1_000_000, 128_000, Some(cached(10.0, 50.0, 1.00))),
    claude("claude-mythos-preview", 1_000_000, 128_000, None),
    claude("claude-opus-5", 1_000_000, 128_000, Some(cached(5.0, 25.0, 0.50))),
    claude("claude-opus-4-8", 1_000_000, 128_000, Some(cached(5.0, 25.0, 0.50))),
    claude("claude-opus-4-7", 1_000_000, 128_000, Some(cached(5.0, 25.0, 0.50))),
    claude("claude-opus-4-6", 1_000_000, 128_000, Some(cached(5.0, 25.0, 0.50))),
    claude("claude-sonnet-5", 1_000_000, 128_000, Some(cached(2.0, 10.0, 0.20))),
    claude("claude-sonnet-4-6", 1_000_000, 128_000, Some(cached(3.0, 15.0, 0.30))),
    Model {
        aliases: &["claude-opus-4-5-20251101"],
        ..claude("claude-opus-4-5", 200_000, 64_000, Some(cached(5.0, 25.0, 0.50)))
    },
    Model {
        aliases: &["claude-sonnet-4-5-20250929"],
        ..claude("claude-sonnet-4-5", 200_000, 64_000, Some(cached(3.0, 15.0, 0.30)))
    },
    Model {
        aliases: &["claude-haiku-4-5-20251001"],
        ..claude("claude-haiku-4-5", 200_000, 64_000, Some(cached(1.0, 5.0, 0.10)))
    },
    full_size("gpt-6.2-astra", Some((8.0, None, 40.0))),
    full_size("gpt-6.2-sol", Some((2.0, None, 10.0))),
    full_size("gpt-6.1-sol", Some((2.0, Some(0.10), 10.0))),
    small("gpt-6.1-terra", (1.0, 0.05, 5.0)),
    full_size("gpt-6-astra", Some((10.0, Some(1.0), 50.0))),
    full_size("gpt-6-sol", Some((2.0, Some(0.2), 10.0))),
    small("gpt-6-luna", (0.1, 0.01, 0.5)),
    full_size("gpt-5.6-sol", Some((4.0, Some(0.4), 20.0))),
    small("gpt-5.6-terra", (2.0, 0.2, 12.0)),
    small("gpt-5.6-luna", (0.2, 0.02, 1.2)),
    full_size("gpt-5.5", Some((5.0, Some(0.5), 30.0))),
    full_size("gpt-5.4", Some((2.5, Some(0.25), 15.0))),
    small("gpt-5.4-mini", (0.75, 0.075, 4.5)),
    small("gpt-5.4-nano", (0.2, 0.02, 1.25)),
    openai("gpt-5.2"),
    openai("gpt-5.1"),
];

const fn claude(id: &'static str, window: u64, max_output: u64, rates: Option<Rates>) -> Model {
    let price = match rates {
        Some(rates) => Some(Price { rates, long: None }),
        None => None,
    };
    Model { id, aliases: &[], provider: "anthropic", window: Some(window), max_output: Some(max_output), price }
}

/// Anthropic's rates: a write to the five-minute cache costs a quarter more than input.
const fn cached(input: f64, output: f64, cache_read: f64) -> Rates {
    Rates { input, output, cache_read: Some(cache_read), cache_write: Some(input * 1.25) }
}

const fn openai(id: &'static str) -> Model {
    Model { id, aliases: &[], provider: "openai", window: None, max_output: None, price: None }
}

/// An `OpenAI` model with the large window, whose input costs double beyond 272,000 tokens.
const fn full_size(id: &'static str, rates: Option<(f64, Option<f64>, f64)>) -> Model {
    let price = match rates {
        Some((input, cache_read, output)) => Some(Price {
            rates: Rates { input, output, cache_read, cache_write: None },
            long: Some((272_000, Rates { input: input * 2.0, output, cache_read: None, cache_write: None })),
        }),
        None => None,
    };
    Model { window: Some(922_000), max_output: Some(128_000), price, ..openai(id) }
}

const fn small(id: &'static str, (input, cache_read, output): (f64, f64, f64)) -> Model {
    let rates = Rates { input, output, cache_read: Some(cache_read), cache_write: None };
    Model { price: Some(Price { rates, long: None }), ..openai(id) }
}

/// Looks a model up by any of its ids.
#[must_use]
pub fn lookup(provider: &str, model: &str) -> Option<&'static Model> {
    MODELS.iter().find(|known| known.provider == provider && known.has_id(model))
}

/// Looks a model up by any of its ids, whoever serves it.
#[must_use]
pub fn find(model: &str) -> Option<&'static Model> {
    MODELS.iter().find(|known| known.has_id(model))
}

/// Up to three models whose ids are like `name`, the likest first.
#[must_use]
pub fn nearest(name: &str) -> Vec<&'static Model> {
    let name = name.to_ascii_lowercase();
    let scored = MODELS.iter().filter_map(|model| {
        let contained = !name.is_empty() && (model.id.contains(&name) || name.contains(model.id));
        let distance = distance(&name, model.id);
        let limit = (name.len() / 3).max(2);
        (contained || distance <= limit).then_some((!contained, distance, model))
    });
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by_key(|(apart, distance, _)| (*apart, *distance));
    scored.into_iter().take(3).map(|(_, _, model)| model).collect()
}

/// What a reply cost; `None` where a price or a count is not known.
#[must_use]
pub fn cost(model: &Model, usage: &Usage) -> Option<Cost> {
    let (input, output) = (usage.input?, usage.output?);
    let (read, write) = (usage.cache_read.unwrap_or(0), usage.cache_write.unwrap_or(0));
    let price = model.price?;
    let rates = match price.long {
        Some((limit, rates)) if input > limit => rates,
        _ => price.rates,
    };
    Some(Cost {
        input: charge(input.saturating_sub(read).saturating_sub(write), Some(rates.input))?,
        output: charge(output, Some(rates.output))?,
        cache_read: charge(read, rates.cache_read)?,
        cache_write: charge(write, rates.cache_write)?,
    })
}

fn charge(tokens: u64, rate: Option<f64>) -> Option<f64> {
    if tokens == 0 {
        return Some(0.0);
    }
    // Beyond 2^52 tokens a lost digit would be the least of worries.
    #[expect(clippy::cast_precision_loss)]
    rate.map(|rate| tokens as f64 * rate / 1e6)
}

impl Model {
    fn has_id(&self, id: &str) -> bool {
        self.id == id || self.aliases.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, read: u64, write: u64, output: u64) -> Usage {
        Usage {
            input: Some(input),
            cache_read: Some(read),
            cache_write: Some(write),
            output: Some(output),
            reasoning: None,
        }
    }

    #[test]
    fn costs() {
        let sonnet = lookup("anthropic", "claude-sonnet-5-5").unwrap();
        let cost_of = |usage| cost(sonnet, &usage).unwrap();
        let spent = cost_of(usage(1_000_000, 300_000, 200_000, 100_000));
        assert!((spent.input - 1.0).abs() < 1e-9 && (spent.output - 1.0).abs() < 1e-9, "{spent:?}");
        assert!((spent.cache_read - 0.03).abs() < 1e-9 && (spent.cache_write - 0.5).abs() < 1e-9, "{spent:?}");
        assert!((spent.total() - 2.53).abs() < 1e-9);
        assert_eq!(cost(sonnet, &Usage::default()), None);
    }

    #[test]
    fn long_prompts_and_unknown_rates() {
        let haiku = lookup("anthropic", "claude-haiku-5-5").unwrap();
        assert!((cost(haiku, &usage(200_000, 0, 0, 0)).unwrap().total() - 0.1).abs() < 1e-9);
        assert_eq!(cost(haiku, &usage(200_000, 1, 0, 0)), None);
        let astra = lookup("openai", "gpt-6.2-astra").unwrap();
        assert!(cost(astra, &usage(10, 0, 0, 1)).is_some());
        assert_eq!(cost(astra, &usage(10, 5, 0, 1)), None);
        assert_eq!(cost(lookup("openai", "gpt-5.2").unwrap(), &usage(1, 0, 0, 1)), None);
    }

    #[test]
    fn names() {
        assert_eq!(lookup("anthropic", "claude-haiku-4-5-20251001").unwrap().id, "claude-haiku-4-5");
        assert!(lookup("openai", "claude-haiku-4-5").is_none());
        assert!(find("gpt-6-sol").is_some());
        let ids = |name| nearest(name).iter().map(|model| model.id).collect::<Vec<_>>();
        assert_eq!(ids("claude-sonet-5-5")[0], "claude-sonnet-5-5");
        assert_eq!(ids("gpt-6-sol-mini")[0], "gpt-6-sol");
        assert!(ids("haiku").contains(&"claude-haiku-5-5"));
        assert!(ids("").is_empty() && ids("zzzzzzzzzzzz").is_empty());
    }

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = MODELS.iter().flat_map(|model| model.aliases.iter().chain([&model.id])).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
