//! Tables of tensor names that several families share, towards the names that transformers 4.57 saves.
//! A family that needs more passes its own table to [`Checkpoint::canonical`](super::Checkpoint::canonical).

use super::rename::{Rule, Scheme, keep, rule};

/// Decoders: `model.layers.`, `model.embed_tokens.`, `model.norm.`, `lm_head.`. Also reads the decoder out of a
/// vision-language checkpoint, and one saved without its head and the `model.` in front.
pub const DECODER: &Scheme = &[
    &[
        rule("model.language_model.", "model."),
        rule("language_model.model.", "model."),
        rule("language_model.lm_head.", "lm_head."),
    ],
    &[
        rule("layers.", "model.layers."),
        rule("embed_tokens.", "model.embed_tokens."),
        rule("norm.", "model.norm."),
        rule("decoder.", "model.decoder."),
    ],
];

/// Text models in GGUF files, to the names of [`DECODER`], and picture parts of LLaVA 1.5 and NeXT, to those of
/// [`VISION_LANGUAGE`]. In a part's MLPs `ffn_up` comes first.
pub const GGUF: &Scheme = &[GGUF_TEXT, LLAVA_PART];

/// GGUF checkpoints of Idefics 3 and SmolVLM.
pub const GGUF_IDEFICS3: &Scheme =
    &[GGUF_TEXT, &[keep("model.text_model."), rule("model.", "model.text_model.")], LLAVA_PART, SIGLIP_PART];

/// GGUF checkpoints of InternVL.
pub const GGUF_INTERNVL: &Scheme = &[GGUF_TEXT, INTERNVL_PART];

/// GGUF checkpoints of Pixtral and Mistral Small 3.1.
pub const GGUF_PIXTRAL: &Scheme = &[GGUF_TEXT, PIXTRAL_PART];

/// GGUF checkpoints of Qwen2-VL and Qwen2.5-VL.
pub const GGUF_QWEN_VL: &Scheme = &[GGUF_TEXT, QWEN_VL_PART];

const GGUF_TEXT: &[Rule] = &[
    rule("token_embd.", "model.embed_tokens."),
    rule("output_norm.", "model.norm."),
    rule("output.", "lm_head."),
    rule("blk.*.attn_norm.", "model.layers.*.input_layernorm."),
    rule("blk.*.attn_q.", "model.layers.*.self_attn.q_proj."),
    rule("blk.*.attn_k.", "model.layers.*.self_attn.k_proj."),
    rule("blk.*.attn_v.", "model.layers.*.self_attn.v_proj."),
    rule("blk.*.attn_output.", "model.layers.*.self_attn.o_proj."),
    rule("blk.*.ffn_norm.", "model.layers.*.post_attention_layernorm."),
    rule("blk.*.ffn_gate.", "model.layers.*.mlp.gate_proj."),
    rule("blk.*.ffn_up.", "model.layers.*.mlp.up_proj."),
    rule("blk.*.ffn_down.", "model.layers.*.mlp.down_proj."),
];

const LLAVA_PART: &[Rule] = &[
    rule("v.class_embd", "vision_tower.vision_model.embeddings.class_embedding"),
    rule("v.patch_embd.", "vision_tower.vision_model.embeddings.patch_embedding."),
    rule("v.position_embd.", "vision_tower.vision_model.embeddings.position_embedding."),
    rule("v.pre_ln.", "vision_tower.vision_model.pre_layrnorm."),
    rule("v.blk.*.ln1.", "vision_tower.vision_model.encoder.layers.*.layer_norm1."),
    rule("v.blk.*.ln2.", "vision_tower.vision_model.encoder.layers.*.layer_norm2."),
    rule("v.blk.*.attn_q.", "vision_tower.vision_model.encoder.layers.*.self_attn.q_proj."),
    rule("v.blk.*.attn_k.", "vision_tower.vision_model.encoder.layers.*.self_attn.k_proj."),
    rule("v.blk.*.attn_v.", "vision_tower.vision_model.encoder.layers.*.self_attn.v_proj."),
    rule("v.blk.*.attn_out.", "vision_tower.vision_model.encoder.layers.*.self_attn.out_proj."),
    rule("v.blk.*.ffn_up.", "vision_tower.vision_model.encoder.layers.*.mlp.fc1."),
    rule("v.blk.*.ffn_down.", "vision_tower.vision_model.encoder.layers.*.mlp.fc2."),
    rule("mm.0.", "multi_modal_projector.linear_1."),
    rule("mm.2.", "multi_modal_projector.linear_2."),
    rule("model.image_newline", "image_newline"),
    rule("v.image_newline", "image_newline"),
];

/// SigLIP's tower beside LLaVA's names: its front is another, and it has an end.
const SIGLIP_PART: &[Rule] = &[
    rule("vision_tower.vision_model.", "vision_model."),
    rule("v.post_ln.", "vision_model.post_layernorm."),
    rule("mm.model.fc.", "connector.modality_projection.proj."),
];

const INTERNVL_PART: &[Rule] = &[
    rule("v.class_embd", "vision_tower.embeddings.cls_token"),
    rule("v.patch_embd.", "vision_tower.embeddings.patch_embeddings.projection."),
    rule("v.position_embd.weight", "vision_tower.embeddings.position_embeddings"),
    rule("v.post_ln.", "vision_tower.layernorm."),
    rule("v.blk.*.ln1.", "vision_tower.encoder.layer.*.layernorm_before."),
    rule("v.blk.*.ln2.", "vision_tower.encoder.layer.*.layernorm_after."),
    rule("v.blk.*.ls1.weight", "vision_tower.encoder.layer.*.lambda_1"),
    rule("v.blk.*.ls2.weight", "vision_tower.encoder.layer.*.lambda_2"),
    rule("v.blk.*.attn_q.", "vision_tower.encoder.layer.*.attention.q_proj."),
    rule("v.blk.*.attn_k.", "vision_tower.encoder.layer.*.attention.k_proj."),
    rule("v.blk.*.attn_v.", "vision_tower.encoder.layer.*.attention.v_proj."),
    rule("v.blk.*.attn_q_norm.", "vision_tower.encoder.layer.*.attention.q_norm."),
    rule("v.blk.*.attn_k_norm.", "vision_tower.encoder.layer.*.attention.k_norm."),
    rule("v.blk.*.attn_out.", "vision_tower.encoder.layer.*.attention.projection_layer."),
    rule("v.blk.*.ffn_up.", "vision_tower.encoder.layer.*.mlp.fc1."),
    rule("v.blk.*.ffn_down.", "vision_tower.encoder.layer.*.mlp.fc2."),
    rule("mm.model.mlp.0.", "multi_modal_projector.layer_norm."),
    rule("mm.model.mlp.1.", "multi_modal_projector.linear_1."),
    rule("mm.model.mlp.3.", "multi_modal_projector.linear_2."),
];

const PIXTRAL_PART: &[Rule] = &[
    rule("v.patch_embd.", "vision_tower.patch_conv."),
    rule("v.pre_ln.", "vision_tower.ln_pre."),
    rule("v.blk.*.ln1.", "vision_tower.transformer.layers.*.attention_norm."),
    rule("v.blk.*.ln2.", "vision_tower.transformer.layers.*.ffn_norm."),
    rule("v.blk.*.attn_q.", "vision_tower.transformer.layers.*.attention.q_proj."),
    rule("v.blk.*.attn_k.", "vision_tower.transformer.layers.*.attention.k_proj."),
    rule("v.blk.*.attn_v.", "vision_tower.transformer.layers.*.attention.v_proj."),
    rule("v.blk.*.attn_out.", "vision_tower.transformer.layers.*.attention.o_proj."),
    rule("v.blk.*.ffn_gate.", "vision_tower.transformer.layers.*.feed_forward.gate_proj."),
    rule("v.blk.*.ffn_up.", "vision_tower.transformer.layers.*.feed_forward.up_proj."),
    rule("v.blk.*.ffn_down.", "vision_tower.transformer.layers.*.feed_forward.down_proj."),
    rule("mm.input_norm.", "multi_modal_projector.norm."),
    rule("mm.patch_merger.", "multi_modal_projector.patch_merger.merging_layer."),
    rule("mm.1.", "multi_modal_projector.linear_1."),
    rule("mm.2.", "multi_modal_projector.linear_2."),
];

const QWEN_VL_PART: &[Rule] = &[
    rule("v.patch_embd.", "visual.patch_embed.proj."),
    rule("v.post_ln.", "visual.merger.ln_q."),
    rule("v.blk.*.ln1.", "visual.blocks.*.norm1."),
    rule("v.blk.*.ln2.", "visual.blocks.*.norm2."),
    rule("v.blk.*.attn_q.", "visual.blocks.*.attn.q."),
    rule("v.blk.*.attn_k.", "visual.blocks.*.attn.k."),
    rule("v.blk.*.attn_v.", "visual.blocks.*.attn.v."),
    rule("v.blk.*.attn_out.", "visual.blocks.*.attn.proj."),
    rule("v.blk.*.ffn_gate.", "visual.blocks.*.mlp.gate_proj."),
    // The newer tower's MLP has a gate, the older one's is a stack of two.
    rule("v.blk.*.ffn_up.", "visual.blocks.*.mlp.up_proj.").when("v.blk.*.ffn_gate."),
    rule("v.blk.*.ffn_down.", "visual.blocks.*.mlp.down_proj.").when("v.blk.*.ffn_gate."),
    rule("v.blk.*.ffn_up.", "visual.blocks.*.mlp.fc1."),
    rule("v.blk.*.ffn_down.", "visual.blocks.*.mlp.fc2."),
    rule("mm.0.", "visual.merger.mlp.0."),
    rule("mm.2.", "visual.merger.mlp.2."),
];

/// Vision towers of their own, and CLIP and SigLIP with both towers: `vision_model.`, `text_model.`.
/// transformers 5 saves a lone tower without the `vision_model.` in front.
pub const CLIP: &Scheme = &[
    &[rule("clip.", ""), rule("vision_tower.", "")],
    &[
        rule("embeddings.", "vision_model.embeddings.").when("embeddings.patch_embedding."),
        rule("encoder.", "vision_model.encoder.").when("embeddings.patch_embedding."),
        rule("pre_layrnorm.", "vision_model.pre_layrnorm."),
        rule("post_layernorm.", "vision_model.post_layernorm."),
        rule("head.", "vision_model.head.").when("embeddings.patch_embedding."),
    ],
];

/// ViT: `vit.` in front of the tower, `classifier.` beside it. A base model is saved without the front.
pub const VIT: &Scheme = &[&[
    rule("embeddings.", "vit.embeddings."),
    rule("encoder.", "vit.encoder."),
    rule("layernorm.", "vit.layernorm."),
    rule("pooler.", "vit.pooler."),
]];

/// LLaVA and what is built like it (LLaVA-NeXT, ViP-LLaVA, LLaVA-OneVision, Pixtral, Mistral 3, InternVL, Mllama, Fuyu):
/// `language_model.model.`, `language_model.lm_head.`, `vision_tower.`, `multi_modal_projector.`, `image_newline`.
/// Reads the layouts of transformers 4, of its later versions, and of the original LLaVA code.
pub const VISION_LANGUAGE: &Scheme = &[FRONTS, INNER];

const FRONTS: &[Rule] = &[
    rule("model.language_model.", "language_model.model."),
    rule("lm_head.", "language_model.lm_head."),
    // LLaVA's own code: the tower wrapped twice, the projector a sequence.
    rule("model.vision_tower.vision_tower.", "vision_tower."),
    rule("model.mm_projector.0.", "multi_modal_projector.linear_1."),
    rule("model.mm_projector.2.", "multi_modal_projector.linear_2."),
    rule("model.mm_projector.weight", "multi_modal_projector.linear_1.weight"),
    rule("model.mm_projector.bias", "multi_modal_projector.linear_1.bias"),
    // ViP-LLaVA's own code.
    rule("model.mm_projector.final_linear.0.", "multi_modal_projector.linear_1."),
    rule("model.mm_projector.final_linear.2.", "multi_modal_projector.linear_2."),
    rule("model.mm_projector.clip_layernorm.", "multi_modal_projector.projector_layernorm."),
    rule("model.vision_tower.", "vision_tower."),
    rule("model.vision_model.", "vision_model."),
    rule("model.vision_embed_tokens.", "vision_embed_tokens."),
    rule("model.multi_modal_projector.", "multi_modal_projector."),
    rule("model.image_newline", "image_newline"),
    rule("model.", "language_model.model."),
];

const INNER: &[Rule] = &[
    keep("vision_tower.vision_model."),
    // CLIP and SigLIP towers as transformers 5 saves them; other towers have no `layers.` there.
    rule("vision_tower.", "vision_tower.vision_model.").when("vision_tower.encoder.layers."),
    keep("language_model.model."),
    keep("language_model.lm_head."),
    rule("language_model.", "language_model.model.").when("language_model.layers."),
];

/// Qwen2-VL and Qwen2.5-VL: `visual.` beside `model.layers.` and `lm_head.`.
pub const QWEN_VL: &Scheme =
    &[&[rule("model.language_model.", "model."), rule("model.visual.", "visual."), rule("language_model.", "model.")]];

#[cfg(test)]
pub(super) const ALL: [&Scheme; 10] =
    [DECODER, GGUF, GGUF_IDEFICS3, GGUF_INTERNVL, GGUF_PIXTRAL, GGUF_QWEN_VL, CLIP, VIT, VISION_LANGUAGE, QWEN_VL];
