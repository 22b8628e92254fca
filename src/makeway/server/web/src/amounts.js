// Write numbers for people, as the server writes them elsewhere on the page.
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

export function short(value, unit) {
  if (value == null) return "–";
  if (unit === "bytes" || unit === "bytes_per_second") return size(value) + (unit === "bytes" ? "" : "/s");
  if (unit === "ratio") return `${trim(100 * value)} %`;
  if (unit === "percent") return `${trim(value)} %`;
  return unit ? `${trim(value)} ${unit}` : trim(value);
}

export const axisText = (value, unit) => (value == null ? "" : short(value, unit));

function size(bytes) {
  let value = bytes, at = 0;
  while (Math.abs(value) >= 1024 && at < SIZES.length - 1) { value /= 1024; at += 1; }
  return `${trim(value)} ${SIZES[at]}`;
}

function trim(value) {
  return String(Number(value.toPrecision(4)));
}
