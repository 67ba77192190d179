"""Transformer blocks of the denoiser, one class for each kind of conditioning (paper, section 4.2 and figure 3).

A block takes tokens (N, T, H) and the condition (N, K + 1, H), which is the index tokens followed by the timestep's,
and returns both for the next block.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unicorn_codec.network.layers import Attention, rms_norm, weight_matrix


class Block(nn.Module):
    """Self-attention and an MLP. Subclasses define how the condition enters them.

    Args:
        zero_output: initialise both with a zero output, so that the residual stream passes unchanged.
    """

    def __init__(self, size: int, heads: int, *, zero_output: bool = True) -> None:
        super().__init__()
        self.mlp_in = weight_matrix(4 * size, size)
        self.mlp_out = nn.Parameter(torch.zeros(size, 4 * size)) if zero_output else weight_matrix(size, 4 * size)
        self.self_attention = Attention(size, heads, zero_output=zero_output)

    def attend_tokens(self, normed: Tensor) -> Tensor:
        """Return the self-attention of normalised tokens."""
        return self.self_attention(normed, normed)

    def mlp(self, normed: Tensor) -> Tensor:
        """Return the MLP of normalised tokens."""
        return F.linear(F.relu(F.linear(normed, self.mlp_in)).square(), self.mlp_out)


class InContextBlock(Block):
    """ICC: the condition's tokens join the sequence of self-attention and change from block to block."""

    def forward(self, tokens: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        sequence = torch.cat([tokens, condition], dim=1)
        sequence = sequence + self.attend_tokens(rms_norm(sequence))
        sequence = sequence + self.mlp(rms_norm(sequence))
        return sequence[:, : tokens.shape[1]], sequence[:, tokens.shape[1] :]


class CrossAttentionBlock(Block):
    """CA: self-attention, cross-attention to the condition, MLP."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__(size, heads)
        self.cross_attention = Attention(size, heads)

    def attend_condition(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Return the cross-attention of tokens to the condition."""
        return self.cross_attention(rms_norm(tokens), condition)

    def forward(self, tokens: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        tokens = tokens + self.attend_tokens(rms_norm(tokens))
        tokens = tokens + self.attend_condition(tokens, condition)
        return tokens + self.mlp(rms_norm(tokens)), condition


class GatedCrossAttentionBlock(CrossAttentionBlock):
    """CAG: cross-attention with a learned gate per dimension."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__(size, heads)
        self.gate = nn.Parameter(torch.full((size,), 0.5))

    def attend_condition(self, tokens: Tensor, condition: Tensor) -> Tensor:
        return self.gate * super().attend_condition(tokens, condition)


class AdaptiveNormBlock(Block):
    """ALNZ: a vector shifts, scales and gates both parts. The gates start at zero, as in DiT.

    The vector is the sum of the condition's tokens, in which the index tokens together weigh as much as the timestep's.
    DiT's modulation before the output is left out: that of the blocks suffices, and every number costs bits.
    """

    def __init__(self, size: int, heads: int) -> None:
        # Behind gates of zero, a zero output would never get a gradient.
        super().__init__(size, heads, zero_output=False)
        self.modulation = nn.Parameter(torch.zeros(6 * size, size))

    def forward(self, tokens: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        of_index, of_timestep = condition[:, :-1], condition[:, -1]
        summed = of_index.sum(1) / math.sqrt(of_index.shape[1]) + of_timestep
        parts = F.linear(F.silu(summed), self.modulation)[:, None].chunk(6, dim=-1)
        shift, scale, gate = parts[:3]
        tokens = tokens + gate * self.attend_tokens(rms_norm(tokens) * (1 + scale) + shift)
        shift, scale, gate = parts[3:]
        return tokens + gate * self.mlp(rms_norm(tokens) * (1 + scale) + shift), condition


CONDITION_CLASSES: dict[str, Callable[[int, int], nn.Module]] = {
    "cag": GatedCrossAttentionBlock,
    "icc": InContextBlock,
    "ca": CrossAttentionBlock,
    "alnz": AdaptiveNormBlock,
}
