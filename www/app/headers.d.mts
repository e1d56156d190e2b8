export function securityHeaders(config?: { supabaseUrl: string; workerUrl?: string }): Record<string, string>;
export function cacheControl(path: string): string;
export function headersFile(config?: { supabaseUrl: string; workerUrl?: string }): string;
