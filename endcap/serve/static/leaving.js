// Whoever leaves the desk gives back what it fetched ahead, so that others are asked it at once.

addEventListener("pagehide", () => navigator.sendBeacon("/api/v1/review/release"));
