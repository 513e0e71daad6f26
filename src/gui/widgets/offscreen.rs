//! Content drawn off screen, for pictures of any size.

use std::sync::mpsc::sync_channel;

use eframe::egui::{self, Color32, ColorImage, Pos2, RawInput, Rect, Ui, Vec2, ViewportId};
use eframe::egui_wgpu::{RenderState, Renderer, RendererOptions, ScreenDescriptor};
use eframe::wgpu;

use crate::gui::theme;

/// Bytes to which the rows of a copied texture are aligned.
const ALIGNED: u32 = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT;

/// Draws `contents` on black, `size` points across and down and `scale` pixels for each. Waits for the GPU: not for the window's thread.
///
/// # Errors
/// A picture beyond the adapter's limit, a device that is lost, a target whose bytes are not colours of 8 bits.
pub(in crate::gui) fn draw(gpu: &RenderState, size: Vec2, scale: f32, contents: impl FnMut(&mut Ui)) -> Result<ColorImage, String> {
    let [width, height] = [size.x, size.y].map(|points| ((points * scale).round() as u32).max(1));
    let limit = gpu.device.limits().max_texture_dimension_2d;
    if width.max(height) > limit {
        return Err(format!("{width} x {height} pixels are more than the graphics device draws ({limit} a side); choose a smaller size"));
    }
    let ctx = egui::Context::default();
    theme::install(&ctx);
    let (screen_rect, max_texture_side) = (Some(Rect::from_min_size(Pos2::ZERO, size)), Some(limit as usize));
    let mut input = RawInput { screen_rect, max_texture_side, ..RawInput::default() };
    input.viewports.entry(ViewportId::ROOT).or_default().native_pixels_per_point = Some(scale);
    let output = ctx.run_ui(input, contents);

    let mut renderer = Renderer::new(&gpu.device, gpu.target_format, RendererOptions::default());
    let target = target(gpu, [width, height]);
    let stride = (4 * width).next_multiple_of(ALIGNED);
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("picture"),
        size: u64::from(stride) * u64::from(height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let submitted = paint(gpu, &mut renderer, (&ctx, output), &target, |encoder| {
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride), rows_per_image: None };
        encoder.copy_texture_to_buffer(target.as_image_copy(), wgpu::TexelCopyBufferInfo { buffer: &buffer, layout }, target.size());
    });
    let bytes = read(gpu, &buffer, submitted)?;
    let rows = bytes.chunks_exact(stride as usize).flat_map(|row| row[..4 * width as usize].chunks_exact(4));
    let order = match gpu.target_format.remove_srgb_suffix() {
        wgpu::TextureFormat::Rgba8Unorm => [0, 1, 2],
        wgpu::TextureFormat::Bgra8Unorm => [2, 1, 0],
        other => return Err(format!("the window draws in {other:?}, of which no picture can be made")),
    };
    let pixels = rows.map(|pixel| Color32::from_rgb(pixel[order[0]], pixel[order[1]], pixel[order[2]])).collect();
    Ok(ColorImage::new([width as usize, height as usize], pixels))
}

/// A texture to draw on, so many pixels across and down.
pub(in crate::gui) fn target(gpu: &RenderState, [width, height]: [u32; 2]) -> wgpu::Texture {
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: gpu.target_format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

/// Draws a frame's output on black, encodes what `then` does with it, and hands both to the GPU.
pub(in crate::gui) fn paint(
    gpu: &RenderState,
    renderer: &mut Renderer,
    (ctx, mut output): (&egui::Context, egui::FullOutput),
    target: &wgpu::Texture,
    then: impl FnOnce(&mut wgpu::CommandEncoder),
) -> wgpu::SubmissionIndex {
    let RenderState { device, queue, .. } = gpu;
    let primitives = ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point);
    for (id, images) in output.textures_delta.set.drain() {
        images.iter().for_each(|image| renderer.update_texture(device, queue, id, image));
    }
    let screen = ScreenDescriptor { size_in_pixels: [target.width(), target.height()], pixels_per_point: output.pixels_per_point };
    let view = target.create_view(&wgpu::TextureViewDescriptor::default());
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut commands = renderer.update_buffers(device, queue, &mut encoder, &primitives, &screen);
    let ops = wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store };
    let attachment = wgpu::RenderPassColorAttachment { view: &view, resolve_target: None, ops, depth_slice: None };
    let pass = wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..wgpu::RenderPassDescriptor::default() };
    renderer.render(&mut encoder.begin_render_pass(&pass).forget_lifetime(), &primitives, &screen);
    then(&mut encoder);
    commands.push(encoder.finish());
    let submitted = queue.submit(commands);
    for id in output.textures_delta.free.drain() {
        renderer.free_texture(&id);
    }
    submitted
}

/// Waits for the work that fills a buffer, and reads it.
fn read(gpu: &RenderState, buffer: &wgpu::Buffer, submitted: wgpu::SubmissionIndex) -> Result<Vec<u8>, String> {
    let lost = |error: &dyn std::fmt::Display| format!("the graphics device drew no picture: {error}");
    let (sender, receiver) = sync_channel(1);
    buffer.slice(..).map_async(wgpu::MapMode::Read, move |mapped| drop(sender.send(mapped)));
    let wait = wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None };
    gpu.device.poll(wait).map_err(|error| lost(&error))?;
    receiver.recv().map_err(|error| lost(&error))?.map_err(|error| lost(&error))?;
    let bytes = buffer.slice(..).get_mapped_range().map_err(|error| lost(&error))?.to_vec();
    buffer.unmap();
    Ok(bytes)
}
