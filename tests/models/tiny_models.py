"""Grounding DINO and SAM 2 as `transformers` has them, with random weights and next to no parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
)

# Grounding DINO's code knows the special tokens by BERT's numbers
_WORDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}

_SIDE = {"height": 64, "width": 64}


def save_tiny_grounding_dino(folder: Path, *, seed: int = 0) -> Path:
    """A folder that `detector` can name: 30 boxes a picture, wherever they happen to be."""
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(_grounding_dino_config())
    with torch.no_grad():  # else nearly every score is 0 or 1, and no cutoff lies between two of them
        model.model.decoder.layer_norm.weight.mul_(0.03)
    model.save_pretrained(folder)
    processor: Any = GroundingDinoProcessor  # the class has no types
    pictures = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    processor(pictures, BertTokenizer(vocab=_vocabulary())).save_pretrained(folder)
    return folder


def save_tiny_sam2(folder: Path, *, seed: int = 0) -> Path:
    """A folder that `segmenter` can name."""
    torch.manual_seed(seed)
    Sam2Model(_sam2_config()).save_pretrained(folder)
    Sam2Processor(_sam2_pictures()).save_pretrained(folder)
    return folder


def save_tiny_sam2_video(folder: Path) -> Path:
    """The same for videos: what the hub's `facebook/sam2.1-hiera-…` hold, with a memory that pictures do not need."""
    torch.manual_seed(0)
    Sam2VideoModel(_sam2_video_config()).save_pretrained(folder)
    videos = Sam2VideoVideoProcessor(size=_SIDE)
    Sam2VideoProcessor(_sam2_pictures(), videos).save_pretrained(folder)
    return folder


def _sam2_pictures() -> Sam2ImageProcessor:
    return Sam2ImageProcessor(size=_SIDE, mask_size={"height": 16, "width": 16})


def _vocabulary() -> dict[str, int]:
    """A WordPiece vocabulary without holes: what is not a word of ours stands as `[unused7]`."""
    words = {"person": 200, "mannequin": 201, "a": 202, "red": 203, "dress": 204}
    named = {number: word for word, number in {**_WORDS, **words}.items()}
    return {named.get(number, f"[unused{number}]"): number for number in range(1030)}


def _grounding_dino_config() -> GroundingDinoConfig:
    backbone = {
        "model_type": "swin",
        "image_size": 64,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
        "out_indices": [2, 3, 4],
    }
    text = {
        "model_type": "bert",
        "vocab_size": 1030,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 64,
    }
    return GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        d_model=64,
        encoder_layers=1,
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        num_queries=30,
        max_text_len=64,
    )


def _sam2_config() -> Sam2Config:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 32,
    }
    return Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
    )


def _sam2_video_config() -> Sam2VideoConfig:
    memory: dict[str, Any] = {
        "memory_attention_hidden_size": 32,
        "memory_attention_num_layers": 1,
        "memory_attention_num_attention_heads": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_num_layers": 1,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 32,
    }
    parts = {
        key: value
        for key, value in _sam2_config().to_dict().items()
        if key in {"vision_config", "prompt_encoder_config", "mask_decoder_config"}
    }
    return Sam2VideoConfig(**parts, **memory, image_size=64)
