"""Gradients of a batch without waiting: on a CPU by a thread for each part, on a GPU by a recorded graph of kernels."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor, nn

Terms = Callable[..., Tensor]
"""Terms, (k,), of tensors of one length: means over that length."""


class Gradients(Protocol):
    """What sets the gradients of some parameters to those of the first of some terms."""

    def differentiate(self, terms: Terms, parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor]) -> Tensor:
        """Set the parameters' gradients.

        Args:
            terms: of the tensors.
            tensors: a batch.

        Returns:
            (k,) the terms.
        """
        ...


def gradients_on(device: torch.device, parts: int) -> Gradients:
    """Return what differentiates fastest on a device; ``parts`` of a batch are worked on by CPU threads."""
    return Recorded() if device.type == "cuda" else Parts(parts)


class Parts:
    """Threads that work on a part of each batch: threads within layers wait for each other in every layer.

    Args:
        count: of parts, by which the length of batches is divisible; torch's own threads are divided among them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads = ThreadPoolExecutor(count)
        torch.set_num_threads(max(1, torch.get_num_threads() // count))

    def differentiate(self, terms: Terms, parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor]) -> Tensor:
        """Set the parameters' gradients to the mean of those of the parts."""
        parts = zip(*(tensor.chunk(self.count) for tensor in tensors), strict=True)
        computed = self._threads.map(lambda part: _terms_and_gradients(terms, parameters, part), parts)
        found, *gradients = (torch.stack(each).mean(0) for each in zip(*computed, strict=True))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return found


class Recorded:
    """A CUDA graph for each kind of batch.

    A step is thousands of small kernels. To launch each of them takes a processor longer than the GPU to run it.
    """

    def __init__(self) -> None:
        self._graphs: dict[tuple[object, ...], tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]]] = {}

    def differentiate(self, terms: Terms, parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor]) -> Tensor:
        """Set the parameters' gradients; they lie at one place for batches of one kind."""
        kind = (terms, *(tensor.shape for tensor in tensors))
        if kind not in self._graphs:
            self._graphs[kind] = self._recorded(terms, parameters, tensors)
        graph, inputs, (found, *gradients) = self._graphs[kind]
        for own, tensor in zip(inputs, tensors, strict=True):
            own.copy_(tensor)
        graph.replay()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return found.clone()

    @staticmethod
    def _recorded(
        terms: Terms, parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]]:
        inputs = [tensor.clone() for tensor in tensors]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # the libraries choose their kernels before they are recorded
            for _ in range(3):
                _terms_and_gradients(terms, parameters, inputs)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = _terms_and_gradients(terms, parameters, inputs)
        return graph, inputs, outputs


def _terms_and_gradients(
    terms: Terms, parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    found = terms(*tensors)
    return found.detach(), *torch.autograd.grad(found[0], parameters)
