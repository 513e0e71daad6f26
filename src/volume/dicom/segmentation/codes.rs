//! Codes of SNOMED CT for what labels are called.
//!
//! Categories are those of DICOM's context group 7150, organs mostly those of 7154 (abdomen) and 7153 (brain). A side is a modifier of
//! its own, as in the files of dcmqi and TotalSegmentator, so that a kidney is a kidney on either side.

use super::elements::Code;

const ANATOMY: Code = ("SCT", "123037004", "Anatomical Structure");
const MORPHOLOGY: Code = ("SCT", "49755003", "Morphologically Altered Structure");
const TISSUE: Code = ("SCT", "85756007", "Tissue");

/// Words of a name that say which part or side.
const MODIFIERS: [(&str, Code); 4] = [
    ("left", ("SCT", "7771000", "Left")),
    ("right", ("SCT", "24028007", "Right")),
    ("anterior", ("SCT", "255549009", "Anterior")),
    ("posterior", ("SCT", "255551008", "Posterior")),
];

/// Organs by their names in lower case, American spelling.
#[rustfmt::skip]
const ORGANS: [(&[&str], Code); 23] = [
    (&["spleen"], ("SCT", "78961009", "Spleen")),
    (&["kidney"], ("SCT", "64033007", "Kidney")),
    (&["gallbladder", "gall bladder"], ("SCT", "28231008", "Gallbladder")),
    (&["esophagus"], ("SCT", "32849002", "Esophagus")),
    (&["liver"], ("SCT", "10200004", "Liver")),
    (&["stomach"], ("SCT", "69695003", "Stomach")),
    // AMOS spells it so.
    (&["aorta", "arota"], ("SCT", "15825003", "Aorta")),
    (&["inferior vena cava", "postcava", "ivc"], ("SCT", "64131007", "Inferior vena cava")),
    (&["portal vein and splenic vein", "portal and splenic veins", "portal and splenic vein"], ("SCT", "110765007", "Portal vein and splenic vein")),
    (&["pancreas"], ("SCT", "15776009", "Pancreas")),
    (&["adrenal gland", "adrenal"], ("SCT", "23451007", "Adrenal gland")),
    (&["duodenum"], ("SCT", "38848004", "Duodenum")),
    (&["bladder", "urinary bladder"], ("SCT", "89837001", "Urinary bladder")),
    (&["prostate"], ("SCT", "41216001", "Prostate")),
    (&["colon"], ("SCT", "71854001", "Colon")),
    (&["small bowel", "small intestine"], ("SCT", "30315005", "Small Intestine")),
    (&["lung"], ("SCT", "39607008", "Lung")),
    (&["trachea"], ("SCT", "44567001", "Trachea")),
    (&["heart"], ("SCT", "80891009", "Heart")),
    (&["brain"], ("SCT", "12738006", "Brain")),
    (&["spinal cord"], ("SCT", "2748008", "Spinal cord")),
    (&["hippocampus"], ("SCT", "5366008", "Hippocampus")),
    (&["thalamus"], ("SCT", "42695009", "Thalamus")),
];

/// What disease makes of tissue, likewise.
#[rustfmt::skip]
const ALTERED: [(&[&str], Code); 3] = [
    (&["edema", "peritumoral edema"], ("SCT", "79654002", "Edema")),
    (&["necrosis"], ("SCT", "6574001", "Necrosis")),
    (&["tumor", "enhancing tumor", "non enhancing tumor", "nonenhancing tumor"], ("SCT", "108369006", "Tumor")),
];

/// How one segment is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coded {
    pub category: Code,
    pub kind: Code,
    pub modifiers: Vec<Code>,
}

/// The codes of a name; none for one that is not in the table. A name that says no more than the part is one of the hippocampus in a `dataset` that
/// is called so, as the Decathlon's is.
pub(super) fn of(name: &str, dataset: &str) -> Option<Coded> {
    let spelled = name.to_lowercase().replace("tumour", "tumor").replace("oedema", "edema").replace("oesophagus", "esophagus");
    let (mut modifiers, mut rest) = (Vec::new(), Vec::new());
    for word in spelled.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        match MODIFIERS.iter().find(|(modifier, _)| *modifier == word) {
            Some(&(_, code)) => modifiers.push(code),
            None => rest.push(word),
        }
    }
    let mut rest = rest.join(" ");
    if rest.is_empty() && !modifiers.is_empty() && dataset.to_lowercase().contains("hippocampus") {
        rest = "hippocampus".to_owned();
    }
    let found = |table: &[(&[&str], Code)]| table.iter().find(|(names, _)| names.contains(&rest.as_str())).map(|&(_, code)| code);
    let coded = |category: Code| move |kind: Code| (category, kind);
    let (category, kind) = found(&ORGANS).map(coded(ANATOMY)).or_else(|| found(&ALTERED).map(coded(MORPHOLOGY)))?;
    Some(Coded { category, kind, modifiers })
}

/// How a segment is coded whose name is not known.
pub(super) fn unknown() -> Coded {
    Coded { category: TISSUE, kind: TISSUE, modifiers: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::{ALTERED, MODIFIERS, ORGANS, of};

    #[test]
    fn names_of_the_shipped_presets_have_codes_and_others_have_none() {
        let said = |name: &str, dataset: &str| {
            of(name, dataset).map(|coded| {
                let modifiers: Vec<&str> = coded.modifiers.iter().map(|&(_, _, meaning)| meaning).collect();
                (coded.kind.1, modifiers.join(" "))
            })
        };
        for (name, code, modifiers) in [
            ("Left Kidney", "64033007", "Left"),
            ("kidney_right", "64033007", "Right"),
            ("gall bladder", "28231008", ""),
            ("Oesophagus", "32849002", ""),
            ("portal vein and splenic vein", "110765007", ""),
            ("right adrenal gland", "23451007", "Right"),
            ("non-enhancing tumor", "108369006", ""),
            ("enhancing tumour", "108369006", ""),
            ("edema", "79654002", ""),
        ] {
            assert_eq!(said(name, ""), Some((code, modifiers.to_owned())), "{name}");
        }
        assert_eq!(said("Anterior", "Hippocampus demo"), Some(("5366008", "Anterior".to_owned())));
        for name in ["Anterior", "label 3", "kidney cyst", "prostate/uterus", ""] {
            assert_eq!(said(name, "Task99"), None, "{name}");
        }
        let codes = ORGANS.iter().chain(&ALTERED).map(|(_, code)| code).chain(MODIFIERS.iter().map(|(_, code)| code));
        assert!(codes.clone().all(|(_, value, meaning)| value.bytes().all(|byte| byte.is_ascii_digit()) && meaning.len() <= 64));
    }
}
