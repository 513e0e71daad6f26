//! What a page that stands alone is.

mod markup;

/// What a page may not hold: each would reach outside it, or run.
const FOREIGN: [&str; 5] = ["<script", "<link", "<iframe", "@import", "url("];

/// That a page is well formed, and reaches for nothing outside it. Hands back the number of its elements.
pub fn stands_alone(page: &str) -> usize {
    for foreign in FOREIGN {
        assert!(!page.contains(foreign), "holds {foreign}");
    }
    let tags = markup::tags(page);
    let ids: Vec<&String> = tags.iter().flat_map(|tag| &tag.attributes).filter(|(name, _)| name == "id").map(|(_, id)| id).collect();
    for (name, value) in tags.iter().flat_map(|tag| &tag.attributes) {
        match name.as_str() {
            "src" => panic!("a second file: {value}"),
            "href" => {
                let inside = value.strip_prefix('#').is_some_and(|id| ids.iter().any(|known| *known == id));
                assert!(inside || value.starts_with("data:image/png;base64,"), "href leads outside: {value}");
            }
            name => assert!(!name.starts_with("on"), "a handler: {name}"),
        }
    }
    tags.len()
}
