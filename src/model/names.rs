//! The names that reference implementations give the parameters, as tables of patterns.

use burn::module::Module;

/// A module whose parameters have names in a reference implementation's state dict.
pub trait NamedWeights: Module {
    /// The reference's name of the parameter at `path`, the names of the fields that lead to it: by default these, joined by dots.
    fn reference_name(&self, path: &[String]) -> String {
        path.join(".")
    }
}

/// Parts of a dotted path, and what stands for them in the reference; applied one after the other, each to the first place it fits.
/// `#` is a number; in the replacement `#+1` is the next one.
pub type Renames = Vec<(&'static str, &'static str)>;

/// MONAI wraps its convolutions once (`conv1.conv.weight`), an output block's twice.
pub(super) const MONAI_CONVOLUTIONS: [(&str, &str); 6] = [
    ("conv1", "conv1.conv"),
    ("conv2", "conv2.conv"),
    ("conv3", "conv3.conv"),
    ("transp_conv", "transp_conv.conv"),
    ("transp_conv_init", "transp_conv_init.conv"),
    ("decoder.heads.0", "out.conv.conv"),
];

/// The reference's name of a path.
pub(super) fn renamed<'a>(path: impl Iterator<Item = &'a str>, renames: &[(&str, &str)]) -> String {
    let mut path: Vec<String> = path.map(str::to_owned).collect();
    for (pattern, replacement) in renames {
        let pattern: Vec<&str> = pattern.split('.').collect();
        let fits = |own: &[String]| {
            own.iter().zip(&pattern).all(|(own, part)| own == part || *part == "#" && own.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let Some(at) = path.windows(pattern.len()).position(fits) else { continue };
        let found: Vec<String> = path.splice(at..at + pattern.len(), []).collect();
        let mut numbers = found.iter().zip(&pattern).filter(|(_, part)| **part == "#").map(|(own, _)| own);
        let replace = |part: &str| match part.split_once('#') {
            None => part.to_owned(),
            Some((before, after)) => {
                let number: usize = numbers.next().and_then(|own| own.parse().ok()).expect("a number for each # of the replacement");
                let (added, after) = after.strip_prefix("+1").map_or((0, after), |after| (1, after));
                format!("{before}{}{after}", number + added)
            }
        };
        let replacement: Vec<String> = replacement.split('.').map(replace).collect();
        path.splice(at..at, replacement);
    }
    path.join(".")
}

#[cfg(test)]
mod tests {
    use super::{MONAI_CONVOLUTIONS, renamed};

    #[test]
    fn parts_are_replaced_where_they_fit_and_numbers_kept_or_raised() {
        let renames = [("stages.#.residual", "layers#+1c.0"), ("stages.#", "layers#+1.0"), ("norms.#", "norm#")];
        let name = |path: &str| renamed(path.split('.'), &renames);
        assert_eq!(name("encoder.stages.0.residual.conv1.weight"), "encoder.layers1c.0.conv1.weight");
        assert_eq!(name("stages.9.blocks.1.mlp"), "layers10.0.blocks.1.mlp");
        assert_eq!(name("norms.2.bias"), "norm2.bias");
        assert_eq!(name("stages"), "stages");
        let monai = |path: &str| renamed(path.split('.'), &MONAI_CONVOLUTIONS);
        assert_eq!(monai("decoder5.conv_block.conv3.weight"), "decoder5.conv_block.conv3.conv.weight");
        assert_eq!(monai("decoder.heads.0.bias"), "out.conv.conv.bias");
    }
}
