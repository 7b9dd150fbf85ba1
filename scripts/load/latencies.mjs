/** How long requests took, in milliseconds. */
export function latencies() {
  let values = new Float64Array(1024)
  let count = 0
  return {
    add: (ms) => {
      if (count === values.length) {
        const larger = new Float64Array(count * 2)
        larger.set(values)
        values = larger
      }
      values[count++] = ms
    },
    summary: () => {
      const sorted = values.subarray(0, count).sort()
      const at = (part) => sorted[Math.min(count - 1, Math.floor(count * part))] ?? 0
      return { measured: count, p50: at(0.5), p99: at(0.99), max: at(1) }
    },
  }
}
