// One slice of a volume: image, heat map, labels as fill and outline, or their difference from the truth.
//
// One triangle covers a view; each of its pixels finds its place on the slice, in voxels, and reads what lies there. The host
// counterpart that decides the same for every pixel is src/gui/widgets/slice/tests/reference.rs; a test holds the two together.
//
// Group 0:
//   binding 0  uniform     View: geometry, window, what is drawn, colours
//   binding 1  texture_3d  image, R32Float: from 3.4e38 a voxel that is NaN or infinite
//   binding 2  texture_3d  labels, R8Uint: places in `View.labels`, 0 = background
//   binding 3  texture_3d  true labels, R8Uint, same meaning
//   binding 4  texture_3d  heat map, R32Float on its own coarse grid: 0 to 1, below 0 = not painted
// Textures lie x = W, y = H, z = D. What is not given is bound as one voxel and switched off in `View.flags`.

struct View {
    // Place at the view's upper left corner and voxels for each pixel, both across and down the slice.
    first: vec2<f32>,
    step: vec2<f32>,
    // Voxels across and down.
    size: vec2<f32>,
    // The view's upper left corner in the frame, pixels.
    pane: vec2<f32>,
    // Voxel (x, y, z) at place (0, 0), and the way from one voxel to the next across and down: one of -1, 1 and two zeros.
    corner: vec4<f32>,
    across: vec4<f32>,
    down: vec4<f32>,
    // Voxels for each texel of a reduced texture: image, labels, truth.
    texel_steps: array<vec4<f32>, 3>,
    // Cells of the heat map for each voxel.
    heat_scale: vec4<f32>,
    // Intensity shown black, one over the width of the window, opacity of the fill, width of the outline in pixels.
    look: vec4<f32>,
    // Opacity of the heat map; the rest is padding.
    heat: vec4<f32>,
    flags: vec4<u32>,
    around: vec4<f32>,
    // Of voxels that are NaN or infinite.
    not_finite: vec4<f32>,
    // Agreed, missed, false.
    difference: array<vec4<f32>, 3>,
    // The last stop twice.
    ramp: array<vec4<f32>, 10>,
    // Colour, and whether it is drawn.
    labels: array<vec4<f32>, 256>,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var image: texture_3d<f32>;
@group(0) @binding(2) var labels: texture_3d<u32>;
@group(0) @binding(3) var truth: texture_3d<u32>;
@group(0) @binding(4) var heat: texture_3d<f32>;

// Bits of `View.flags.x`, as in src/gui/widgets/slice/uniforms.rs.
const LINEAR: u32 = 1u;
const FILL: u32 = 2u;
const OUTLINE: u32 = 4u;
const DIFFERENCE: u32 = 8u;
const HEAT: u32 = 16u;

const RAMP_STOPS: f32 = 8.0;
const DIAGONAL: f32 = 0.70710677;
const NOT_FINITE: f32 = 3.4e38;
// Samples of a pixel in each direction.
const MOST_TAPS: f32 = 4.0;

// What branches and loops depend on arrives through the vertices: where they depend on a uniform directly, Mesa's software
// driver compiles the shader anew for every frame.
struct Covered {
    @builtin(position) position: vec4<f32>,
    @location(0) @interpolate(flat) flags: u32,
    @location(1) @interpolate(flat) taps: vec2<f32>,
}
var<private> flags: u32;
var<private> taps: vec2<f32>;

fn has(flag: u32) -> bool {
    return (flags & flag) != 0u;
}

// Place on the slice of a point of the view, in pixels from its corner.
fn place(pixel: vec2<f32>) -> vec2<f32> {
    return view.first + pixel * view.step;
}

fn inside(at: vec2<f32>) -> bool {
    return all(at >= vec2<f32>(-0.5)) && all(at < view.size - vec2<f32>(0.5));
}

fn voxel(at: vec2<f32>) -> vec3<f32> {
    return view.corner.xyz + at.x * view.across.xyz + at.y * view.down.xyz;
}

fn nearest(voxel: vec3<f32>, step: vec3<f32>, size: vec3<u32>) -> vec3<i32> {
    return clamp(vec3<i32>(floor((voxel + 0.5) / step)), vec3<i32>(0), vec3<i32>(size) - 1);
}

fn load(texel: vec3<i32>) -> f32 {
    return textureLoad(image, clamp(texel, vec3<i32>(0), vec3<i32>(textureDimensions(image)) - 1), 0).x;
}

// The voxel that a place lies in.
fn own_voxel(at: vec2<f32>) -> f32 {
    return load(nearest(voxel(at), view.texel_steps[0].xyz, textureDimensions(image)));
}

// A neighbour; one that is not finite counts as the voxel itself.
fn tap(texel: vec3<i32>, own: f32) -> f32 {
    let value = load(texel);
    return select(value, own, value >= NOT_FINITE);
}

// In the plane only: a slice shows one layer of voxels.
fn interpolated(at: vec2<f32>) -> f32 {
    let own = own_voxel(at);
    if own >= NOT_FINITE {
        return own;
    }
    let across = abs(view.across.xyz);
    let down = abs(view.down.xyz);
    let texel = (voxel(at) + 0.5) / view.texel_steps[0].xyz - 0.5;
    let plane = across + down;
    let low = floor(texel + 0.5 * (1.0 - plane));
    let part = texel - low;
    let x = dot(part, across);
    let y = dot(part, down);
    let base = vec3<i32>(low);
    let right = vec3<i32>(across);
    let below = vec3<i32>(down);
    let upper = mix(tap(base, own), tap(base + right, own), x);
    let lower = mix(tap(base + below, own), tap(base + right + below, own), x);
    return mix(upper, lower, y);
}

// Where a pixel covers several voxels it shows their mean, not one of them: thin structures would flicker.
fn intensity(at: vec2<f32>) -> f32 {
    let own = own_voxel(at);
    if !has(LINEAR) || own >= NOT_FINITE {
        return own;
    }
    var sum = 0.0;
    var count = 0.0;
    for (var row = 0.0; row < taps.y; row += 1.0) {
        for (var column = 0.0; column < taps.x; column += 1.0) {
            let part = (vec2<f32>(column, row) + 0.5) / taps - 0.5;
            let value = interpolated(at + part * view.step);
            if value < NOT_FINITE {
                sum += value;
                count += 1.0;
            }
        }
    }
    return select(own, sum / max(count, 1.0), count > 0.0);
}

fn shown(label: u32) -> u32 {
    return select(0u, label, view.labels[label].w > 0.5);
}

// Label, or kind of difference from 1, at a point of the view; 0 where nothing is drawn.
fn kind_at(pixel: vec2<f32>) -> u32 {
    let at = place(pixel);
    if !inside(at) {
        return 0u;
    }
    let here = voxel(at);
    let label = shown(textureLoad(labels, nearest(here, view.texel_steps[1].xyz, textureDimensions(labels)), 0).x);
    if !has(DIFFERENCE) {
        return label;
    }
    let right = shown(textureLoad(truth, nearest(here, view.texel_steps[2].xyz, textureDimensions(truth)), 0).x);
    if label == right {
        return select(0u, 1u, label != 0u);
    }
    return select(3u, 2u, label == 0u);
}

fn kind_colour(kind: u32) -> vec3<f32> {
    if has(DIFFERENCE) {
        return view.difference[kind - 1u].xyz;
    }
    return view.labels[kind].xyz;
}

// Whether something else lies within the outline's width of a point of this kind.
fn on_edge(pixel: vec2<f32>, kind: u32) -> bool {
    let far = view.look.w;
    let near = far * DIAGONAL;
    return kind_at(pixel + vec2<f32>(far, 0.0)) != kind
        || kind_at(pixel - vec2<f32>(far, 0.0)) != kind
        || kind_at(pixel + vec2<f32>(0.0, far)) != kind
        || kind_at(pixel - vec2<f32>(0.0, far)) != kind
        || kind_at(pixel + vec2<f32>(near, near)) != kind
        || kind_at(pixel - vec2<f32>(near, near)) != kind
        || kind_at(pixel + vec2<f32>(near, -near)) != kind
        || kind_at(pixel - vec2<f32>(near, -near)) != kind;
}

fn with_heat(grey: vec3<f32>, at: vec2<f32>) -> vec3<f32> {
    let cell = vec3<i32>(floor((voxel(at) + 0.5) * view.heat_scale.xyz));
    let value = textureLoad(heat, clamp(cell, vec3<i32>(0), vec3<i32>(textureDimensions(heat)) - 1), 0).x;
    if value < 0.0 {
        return grey;
    }
    let stop = value * RAMP_STOPS;
    let below = u32(stop);
    let hue = mix(view.ramp[below].xyz, view.ramp[below + 1u].xyz, stop - f32(below));
    return mix(grey, hue, view.heat.x);
}

// Colour of a pixel in gamma space.
fn colour(pixel: vec2<f32>) -> vec3<f32> {
    let at = place(pixel);
    if !inside(at) {
        return view.around.xyz;
    }
    let value = intensity(at);
    var rgb = vec3<f32>(clamp((value - view.look.x) * view.look.y, 0.0, 1.0));
    if value >= NOT_FINITE {
        rgb = view.not_finite.xyz;
    }
    if has(HEAT) {
        rgb = with_heat(rgb, at);
    }
    if !has(FILL) && !has(OUTLINE) {
        return rgb;
    }
    let kind = kind_at(pixel);
    if kind == 0u {
        return rgb;
    }
    if has(OUTLINE) && on_edge(pixel, kind) {
        return kind_colour(kind);
    }
    if has(FILL) {
        rgb = mix(rgb, kind_colour(kind), view.look.z);
    }
    return rgb;
}

@vertex
fn cover(@builtin(vertex_index) index: u32) -> Covered {
    let corner = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    var covered: Covered;
    covered.position = vec4<f32>(corner * 2.0 - 1.0, 0.0, 1.0);
    covered.flags = view.flags.x;
    covered.taps = clamp(ceil(view.step), vec2<f32>(1.0), vec2<f32>(MOST_TAPS));
    return covered;
}

fn covered_colour(covered: Covered) -> vec3<f32> {
    flags = covered.flags;
    taps = covered.taps;
    return colour(covered.position.xy - view.pane);
}

// For targets that store what they are given, as the window's usually is.
@fragment
fn gamma_target(covered: Covered) -> @location(0) vec4<f32> {
    return vec4<f32>(covered_colour(covered), 1.0);
}

// For targets that encode to sRGB themselves.
@fragment
fn linear_target(covered: Covered) -> @location(0) vec4<f32> {
    let srgb = covered_colour(covered);
    let low = srgb / 12.92;
    let high = pow((srgb + 0.055) / 1.055, vec3<f32>(2.4));
    return vec4<f32>(select(high, low, srgb < vec3<f32>(0.04045)), 1.0);
}
