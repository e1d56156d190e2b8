import type { NextConfig } from "next";

// A server action takes 1 MB, unless it is told otherwise.
export default { experimental: { serverActions: { bodySizeLimit: "25mb" } } } satisfies NextConfig;
