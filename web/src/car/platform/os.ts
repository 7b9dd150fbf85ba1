/** Node's `os`. Nothing is ever written to a folder here. */
export const tmpdir = (): string => 'memory'
