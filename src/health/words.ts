/** How amounts are written in findings. */

export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

export const countText = (value: number): string => value.toLocaleString('en-US')

export const ageText = (ms: number): string => {
  if (ms < HOUR_MS) return `${Math.floor(ms / 60_000)} min`
  return ms < 2 * DAY_MS ? `${(ms / HOUR_MS).toFixed(1)} hours` : `${(ms / DAY_MS).toFixed(1)} days`
}

export const minutesText = (ms: number): string => `${(ms / 60_000).toFixed(1)} minutes`

export const gigabytesText = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`

export const timeText = (ms: number): string => new Date(ms).toISOString()
