//! Collapse numbers: of which tokens they are, what each is called, what it means and which way is healthy.

use super::table::{Cell, Column};
use crate::metrics::collapse::{Collapse, TokenMaps};
use crate::protocol::{CollapsePair, TokenPreview, TokenSet};
use crate::wording::{NOTHING, fixed};

/// Which tokens are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tokens {
    /// After the projector.
    Projected,
    /// Before it.
    #[default]
    Encoder,
}

impl Tokens {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Projected, Self::Encoder];

    /// The tokens by which all of `pairs` can be compared: those that the loss sees, unless a task among them compares none.
    pub fn shared<'a>(pairs: impl IntoIterator<Item = &'a CollapsePair>) -> Self {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() && pairs.all(|pair| pair.projected.is_some()) { Self::Projected } else { Self::Encoder }
    }

    /// As a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Projected => "Projected tokens",
            Self::Encoder => "Encoder tokens",
        }
    }

    /// In a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Projected => "projected tokens",
            Self::Encoder => "encoder tokens",
        }
    }

    /// What these tokens are for.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Projected => "After the projector: where the loss compares them. A collapse shows here first.",
            Self::Encoder => "Before the projector: what fine-tuning starts from.",
        }
    }

    /// The numbers measured on them.
    pub fn numbers(self, pair: &CollapsePair) -> Option<&Collapse> {
        match self {
            Self::Projected => pair.projected.as_ref(),
            Self::Encoder => Some(&pair.encoder),
        }
    }

    /// The tokens themselves.
    pub fn values(self, preview: &TokenPreview) -> Option<&TokenSet> {
        match self {
            Self::Projected => preview.projected.as_ref(),
            Self::Encoder => Some(&preview.encoder),
        }
    }

    /// Similarity of positions, and the plane in which tokens spread most.
    ///
    /// # Errors
    /// The task compares no tokens, or a map cannot be made of them.
    pub fn maps(self, preview: &TokenPreview) -> Result<TokenMaps, &'static str> {
        let set = self.values(preview).ok_or("this task compares no tokens: look at the encoder's")?;
        TokenMaps::of(&set.values, preview.grid.iter().product(), set.dim)
    }
}

/// What a number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The verdict rests on it.
    Verdict,
    /// It explains the verdict.
    Explaining,
    /// It looks like evidence and is not.
    Looking,
}

impl Purpose {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Verdict, Self::Explaining, Self::Looking];

    /// Above the numbers of this purpose.
    pub fn title(self) -> &'static str {
        match self {
            Self::Verdict => "What the verdict rests on",
            Self::Explaining => "What explains it",
            Self::Looking => "For looking, not for judging",
        }
    }
}

/// How a number is read off a measurement.
#[derive(Clone, Copy, Debug)]
enum Number {
    Field(fn(&Collapse) -> Option<f64>),
    LabelProbe(usize),
    LabelProbeOfPosition(usize),
}

/// A collapse number: its names, meaning and value.
#[derive(Clone, Debug)]
pub struct TokenMetric {
    /// In JSON and CSV files.
    pub key: String,
    /// As the field calls it.
    pub name: String,
    /// In plain words.
    pub plain: String,
    /// What it measures, and which way is good.
    pub meaning: &'static str,
    /// Which way is healthy, in a word or two.
    pub healthy: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// Decimals that matter.
    pub decimals: usize,
    number: Number,
}

impl TokenMetric {
    /// Its value, if it exists and is finite.
    pub fn value(&self, collapse: &Collapse) -> Option<f64> {
        let value = match self.number {
            Number::Field(field) => field(collapse),
            Number::LabelProbe(volumes) => collapse.label_probe_r2.get(&volumes).copied(),
            Number::LabelProbeOfPosition(volumes) => collapse.label_probe_r2_position.get(&volumes).copied(),
        };
        value.filter(|value| value.is_finite())
    }

    /// The value of a pair: on `tokens`, but label probes always on the encoder's, which fine-tuning starts from.
    pub fn of(&self, tokens: Tokens, pair: &CollapsePair) -> Option<f64> {
        let is_field = matches!(self.number, Number::Field(_));
        self.value(if is_field { tokens.numbers(pair)? } else { &pair.encoder })
    }

    /// A value in words; a dash without one.
    pub fn text(&self, value: Option<f64>) -> String {
        value.map_or_else(|| NOTHING.to_owned(), |value| fixed(value, self.decimals))
    }

    /// Its column of a table.
    pub(super) fn column(&self) -> Column {
        Column::numbers(&self.name).meaning(self.meaning).fields([&self.key])
    }

    /// A value in a cell of that column.
    pub(super) fn cell(&self, value: Option<f64>) -> Cell {
        Cell::text(self.text(value)).values([value])
    }

    /// Whether it lies between 0 and 1.
    pub fn is_share(&self) -> bool {
        self.decimals > 1
    }
}

/// Key, name, plain name, healthy, purpose, meaning, field.
type Row = (&'static str, &'static str, &'static str, &'static str, Purpose, &'static str, fn(&Collapse) -> Option<f64>);

/// In the order of every table; label probes come before the last purpose.
#[rustfmt::skip]
const ROWS: [Row; 10] = [
    ("eta2_turned", "eta2 turned", "Position decides", "below 0.5; collapsed from 0.8", Purpose::Verdict,
     "Every volume is rotated its own way, so that no anatomy lies at the same position any more. How much of a token's variance does its \
      position in the crop alone still explain? 0: nothing. 1: everything, the image no longer matters: collapse.",
     |c| c.eta2_turned),
    ("index_lock", "index lock", "Position lock", "below 0.2, or below 0.5 and the anatomy lock", Purpose::Verdict,
     "The volume is mirrored through its centre. How alike (mean cosine) are the tokens at one position before and after, although other \
      anatomy lies there now? 1: tokens stay as they were: collapse.",
     |c| c.index_lock),
    ("anatomy_lock", "anatomy lock", "Follows the anatomy", "high; below 0.3 hardly any", Purpose::Verdict,
     "The volume is mirrored through its centre. How alike (mean cosine) are the tokens of the same anatomy before and after? 1: tokens move \
      with the anatomy, as they should. Near 0: they do not follow what is in the image.",
     |c| c.anatomy_lock),
    ("eta2", "eta2", "Position decides, original view", "low, beside untrained", Purpose::Explaining,
     "Share of token variance explained by position in volumes as they are. The same organ lies at the same position in every patient, so \
      that it stays high (about 0.8) in healthy encoders as well: compare with the untrained one.",
     |c| c.eta2),
    ("gap", "gap", "Alike across patients", "low, beside untrained", Purpose::Explaining,
     "Mean cosine of tokens of different volumes at the same position, minus that at other positions. Some likeness is anatomy; far above the \
      untrained encoder it is collapse.",
     |c| c.gap),
    ("position_probe_r2", "position probe R²", "Position can be read off", "low, beside untrained", Purpose::Explaining,
     "How well a linear map reads the position off a token of an unseen volume. 1: perfectly. Compare with the untrained encoder.",
     |c| c.position_probe_r2),
    ("content_probe_accuracy", "content probe", "Patient can be read off", "high", Purpose::Explaining,
     "How often a linear map names the volume that a token comes from. 1: always. A collapsed encoder stands at chance.",
     |c| c.content_probe_accuracy),
    ("rankme", "RankMe", "Directions in use", "no verdict", Purpose::Looking,
     "Effective number of directions that the tokens use. It stays up when tokens collapse onto their positions, so that a high value is no \
      good news by itself.",
     |c| c.rankme),
    ("residual_rankme", "residual RankMe", "Residual rank", "no verdict", Purpose::Looking,
     "The same once the mean token of each position is subtracted. A collapsed encoder may even read better here than a healthy one.",
     |c| c.residual_rankme),
    ("retrieval_wrong_volume", "retrieval", "Nearest neighbour from another volume", "no verdict", Purpose::Looking,
     "How often the token most like a given one lies at the same position in another volume. High in collapse, but also where anatomy is well \
      aligned.",
     |c| c.retrieval_wrong_volume),
];

const LABEL_PROBE: &str = "How well a linear map fitted on a few labelled volumes reads off a token how much of each label lies in its block, \
     on unseen volumes (R²). 1: perfectly. This is where a good pre-training shows first.";
const LABEL_PROBE_OF_POSITION: &str =
    "The same from the token's position alone, without any image: tokens that do no better have learnt nothing else.";

/// All collapse numbers, with the label probes fitted on each of `volumes` labelled volumes.
pub fn token_metrics(volumes: &[usize]) -> Vec<TokenMetric> {
    let row = |&(key, name, plain, healthy, purpose, meaning, field): &Row| TokenMetric {
        key: key.to_owned(),
        name: name.to_owned(),
        plain: plain.to_owned(),
        meaning,
        healthy,
        purpose,
        decimals: if name.contains("RankMe") { 1 } else { 3 },
        number: Number::Field(field),
    };
    let probe = |n: usize, of_position: bool| TokenMetric {
        key: format!("label_probe_r2_{}{n}", if of_position { "position_" } else { "" }),
        name: format!("{}, n = {n}", if of_position { "position alone" } else { "label probe" }),
        plain: format!("Labels read off {}, {n} volumes", if of_position { "the position alone" } else { "a token" }),
        meaning: if of_position { LABEL_PROBE_OF_POSITION } else { LABEL_PROBE },
        healthy: if of_position { "reference" } else { "high, above position alone" },
        purpose: Purpose::Explaining,
        decimals: 3,
        number: if of_position { Number::LabelProbeOfPosition(n) } else { Number::LabelProbe(n) },
    };
    let (looking, first): (Vec<&Row>, Vec<&Row>) = ROWS.iter().partition(|row| row.4 == Purpose::Looking);
    let probes = volumes.iter().flat_map(|&n| [probe(n, false), probe(n, true)]);
    first.into_iter().map(row).chain(probes).chain(looking.into_iter().map(row)).collect()
}
