//! Clicks and drags that begin and end within one frame, as on slow displays: egui tells where the pointer is at a frame's end. And which pane
//! under the pointer takes the keys.

use eframe::egui::{Event, Id, PointerButton, Pos2, Response, Ui};

/// Whether a press at this point is the widget's: it is in sight there, nothing lies over it, and no other widget holds the pointer.
pub(in crate::gui) fn reaches(ui: &Ui, response: &Response, point: Pos2) -> bool {
    let free = response.is_pointer_button_down_on() || !ui.input(|input| input.pointer.any_down());
    free && response.enabled() && response.interact_rect.contains(point) && ui.ctx().layer_id_at(point) == Some(response.layer_id)
}

/// Where a widget was clicked in this frame, or the pressed pointer is on its way over it.
pub(in crate::gui) fn held_at(ui: &Ui, response: &Response) -> Option<Pos2> {
    let (mut from, mut released, mut quick) = (None, None, None);
    for event in ui.input(|input| input.events.clone()) {
        match event {
            Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, .. } => from = Some(pos),
            Event::PointerButton { pos, button: PointerButton::Primary, pressed: false, .. } => {
                released = Some(pos);
                quick = from.take().filter(|&from| reaches(ui, response, from)).map(|_| pos).or(quick);
            }
            _ => {}
        }
    }
    let held = || released.or_else(|| response.interact_pointer_pos());
    quick.or_else(|| (response.clicked() || response.dragged()).then(held).flatten())
}

/// Whether a pane takes the frame's keys: the one under the pointer, or the focused one where the pointer is over none.
pub(in crate::gui) fn takes_keys(ui: &Ui, pane: &Response) -> bool {
    /// The frame in which a pane last was under the pointer.
    const HOVERED: &str = "pane under the pointer";
    let frame = ui.ctx().cumulative_frame_nr();
    if pane.contains_pointer() {
        ui.data_mut(|data| data.insert_temp(Id::unique(HOVERED), frame));
        return true;
    }
    let hovered: Option<u64> = ui.data(|data| data.get_temp(Id::unique(HOVERED)));
    pane.has_focus() && hovered.is_none_or(|hovered| hovered + 1 < frame)
}
