//! Along which axes windows may be mirrored: only a network that saw mirrored scans in its training knows what they show.

use crate::config::RunConfig;
use crate::geometry::AXES;

/// Axes D,H,W along which all of the trainings mirrored their crops, if mirror images are asked for.
pub fn mirror_axes(trainings: &[RunConfig]) -> [bool; 3] {
    let mirrored = |axis: usize| trainings.iter().all(|config| config.infer.mirror && config.finetune.augment.flip_p[axis] > 0.0);
    [0, 1, 2].map(mirrored)
}

/// What is to be said where mirror images are asked for and some axes stay as they are.
pub fn mirror_note(trainings: &[RunConfig]) -> Option<String> {
    let axes = mirror_axes(trainings);
    let asked = trainings.iter().any(|config| config.infer.mirror);
    if !asked || axes == [true; 3] {
        return None;
    }
    let names = |wanted: bool| {
        let named = AXES.iter().zip(axes).filter(|&(_, mirrored)| mirrored == wanted).map(|(name, _)| name.to_string());
        named.collect::<Vec<_>>().join(", ")
    };
    let done = if axes == [false; 3] { "nothing is mirrored".to_owned() } else { format!("mirrored along {} only", names(true)) };
    Some(format!(
        "infer.mirror: {done}; along {} the training mirrored no crop (finetune.augment.flip_p is 0), so that the network does not know mirror \
         images there",
        names(false)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_a_training_did_not_mirror_are_left_alone_and_named() {
        let config = |settings: &[&str]| {
            RunConfig::default().with_overrides(&settings.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let all = config(&["infer.mirror=true"]);
        let sided = config(&["infer.mirror=true", "finetune.augment.flip_p=[0.5,0.5,0]"]);
        let none = config(&["infer.mirror=true", "finetune.augment.flip_p=[0,0,0]"]);
        let unasked = config(&["finetune.augment.flip_p=[0,0,0]"]);
        let alone = |config: &RunConfig| (mirror_axes(std::slice::from_ref(config)), mirror_note(std::slice::from_ref(config)));
        assert_eq!(alone(&all), ([true; 3], None));
        assert_eq!(alone(&unasked), ([false; 3], None));
        assert_eq!(mirror_axes(&[all, sided.clone()]), [true, true, false], "what one network does not know, no network is shown");
        let note = alone(&sided).1.unwrap();
        assert!(note.contains("mirrored along D, H only") && note.contains("along W the training"), "{note}");
        assert!(alone(&none).1.unwrap().contains("nothing is mirrored; along D, H, W"));
    }
}
