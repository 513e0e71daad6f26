// Surfaces of labels: meshes in the patient's millimetres, shaded, drawn into a picture of the pane's size (`place`, `shade`), and that
// picture laid into the frame (`cover` with `gamma_target` or `linear_target`).
//
// Group 0:
//   binding 0  uniform     View: camera, light, colours
//   binding 1  texture_2d  the picture, as large as the pane; for the second part only

struct View {
    clip_from_world: mat4x4<f32>,
    // Towards the light, in the patient.
    light: vec4<f32>,
    // The pane's upper left corner in the frame, pixels; the rest is padding.
    pane: vec4<f32>,
    // Colours in gamma space.
    labels: array<vec4<f32>, 256>,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var picture: texture_2d<f32>;

// Share of a colour that is left where no light falls.
const SHADE: f32 = 0.3;

struct Placed {
    @builtin(position) position: vec4<f32>,
    @location(0) normal: vec3<f32>,
    @location(1) colour: vec3<f32>,
}

// `point`: RAS+ mm, and the label.
@vertex
fn place(@location(0) point: vec4<f32>, @location(1) normal: vec4<f32>) -> Placed {
    var placed: Placed;
    placed.position = view.clip_from_world * vec4<f32>(point.xyz, 1.0);
    placed.normal = normal.xyz;
    placed.colour = view.labels[u32(point.w)].xyz;
    return placed;
}

@fragment
fn shade(placed: Placed) -> @location(0) vec4<f32> {
    // A normal may be zero where all triangles around a vertex have no area.
    let size = max(length(placed.normal), 1e-6);
    let facing = max(dot(placed.normal / size, view.light.xyz), 0.0);
    return vec4<f32>(placed.colour * mix(SHADE, 1.0, facing), 1.0);
}

@vertex
fn cover(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    return vec4<f32>(corner * 2.0 - 1.0, 0.0, 1.0);
}

fn pictured(position: vec4<f32>) -> vec3<f32> {
    let last = vec2<i32>(textureDimensions(picture)) - 1;
    let pixel = clamp(vec2<i32>(floor(position.xy - view.pane.xy)), vec2<i32>(0), last);
    return textureLoad(picture, pixel, 0).xyz;
}

// For targets that store what they are given, as the window's usually is.
@fragment
fn gamma_target(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    return vec4<f32>(pictured(position), 1.0);
}

// For targets that encode to sRGB themselves.
@fragment
fn linear_target(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let srgb = pictured(position);
    let low = srgb / 12.92;
    let high = pow((srgb + 0.055) / 1.055, vec3<f32>(2.4));
    return vec4<f32>(select(high, low, srgb < vec3<f32>(0.04045)), 1.0);
}
