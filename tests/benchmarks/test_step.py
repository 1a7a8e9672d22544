"""How `benchmarks/step.py --profile` sums kernels."""


def test_kernels_are_summed_by_kind(benchmark):
    kernels = [
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16", 5.0, 2),
        ("triton_red_fused_sum_16", 2.0, 1),
        ("triton_poi_fused_convolution_silu_1", 1.0, 3),
        ("Memset (Device)", 0.5, 4),
        ("cudaLaunchKernel", 0.0, 9),
    ]
    sums = list(benchmark("step").by_kind(kernels).values())
    assert sums == [(2.0, 1), (1.0, 3), (5.0, 2), (0.5, 4)]
