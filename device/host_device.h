// DDPM_HOST_DEVICE marks a function that runs on both host and device.
#pragma once

#ifdef __CUDACC__
#define DDPM_HOST_DEVICE __host__ __device__
#else
#define DDPM_HOST_DEVICE
#endif
