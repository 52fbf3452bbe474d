// DDPM_HOST_DEVICE marks a function that the host and the device both run.
#pragma once

#ifdef __CUDACC__
#define DDPM_HOST_DEVICE __host__ __device__
#else
#define DDPM_HOST_DEVICE
#endif
