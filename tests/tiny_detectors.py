"""Grounding DINO and SAM with random weights, as transformers writes them to a folder: no download, and small."""

import torch

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "tench", "dog"]


def save_dino(path):
    """A detector that knows the words "tench" and "dog"."""
    import transformers as t

    torch.manual_seed(0)
    config = t.GroundingDinoConfig(
        backbone_config=t.SwinConfig(
            image_size=32, patch_size=4, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=2,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=t.BertConfig(
            vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16,
            max_position_embeddings=32,
        ),
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=5, encoder_n_points=1, decoder_n_points=1,
        max_text_len=16,
    )  # fmt: skip
    t.GroundingDinoForObjectDetection(config).save_pretrained(path)
    words = t.BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)})
    images = t.GroundingDinoImageProcessor(size={"shortest_edge": 80, "longest_edge": 96})
    t.GroundingDinoProcessor(images, words).save_pretrained(path)
    return path


def save_sam(path):
    """A segmenter whose masks are noise."""
    import transformers as t

    torch.manual_seed(0)
    vision = t.SamVisionConfig(
        hidden_size=16, output_channels=16, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16,
        window_size=2, global_attn_indexes=[0], num_pos_feats=8, mlp_dim=16,
    )  # fmt: skip
    prompts = t.SamPromptEncoderConfig(hidden_size=16, image_size=64, patch_size=16, mask_input_channels=4)
    decoder = t.SamMaskDecoderConfig(
        hidden_size=16, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16
    )
    config = t.SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    model = t.SamModel(config)
    torch.manual_seed(0)
    for parameter in model.parameters():  # transformers starts so near 0 that every mask would be empty
        torch.nn.init.normal_(parameter, 0, 0.5)
    model.save_pretrained(path)
    images = t.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )  # fmt: skip
    t.SamProcessor(images).save_pretrained(path)
    return path
