/** Values of DAG-JSON as text. What is nested by the thousands has none: a RangeError. */

export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, exact, indent)
}

const { rawJSON } = JSON as { readonly rawJSON?: (text: string) => unknown }

/** An integer beyond 2^53 keeps its digits; where a browser cannot do that, as a string. */
function exact(_: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  return rawJSON?.(String(value)) ?? String(value)
}
