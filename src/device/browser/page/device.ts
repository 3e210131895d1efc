/** The device as its browser describes it. */
import type { TabDevice } from '../messages.js';

/** https://wicg.github.io/ua-client-hints/: Chromium only, and only in secure pages. */
interface UserAgentData {
  getHighEntropyValues(hints: readonly string[]): Promise<{
    readonly architecture?: string;
    readonly bitness?: string;
    readonly model?: string;
    readonly platform?: string;
    readonly platformVersion?: string;
    readonly fullVersionList?: readonly { readonly brand: string; readonly version: string }[];
  }>;
}

/** As much of WebGPU as is asked here. */
interface Gpu {
  requestAdapter(): Promise<{
    readonly info?: Readonly<
      Record<'vendor' | 'architecture' | 'device' | 'description', string> & { isFallbackAdapter?: boolean }
    >;
  } | null>;
}

type Hints = Navigator & { readonly userAgentData?: UserAgentData; readonly gpu?: Gpu };

const join = (parts: readonly (string | undefined)[]): string =>
  parts.filter((part) => part !== undefined && part !== '').join(' ');

async function gpuName({ gpu }: Hints): Promise<string | null> {
  try {
    const adapter = await gpu?.requestAdapter();
    if (adapter == null) return null;
    const { info } = adapter;
    const name = join([info?.vendor, info?.architecture, info?.device, info?.description]);
    return `${name === '' ? 'unknown' : name}${info?.isFallbackAdapter === true ? ' (software)' : ''}`;
  } catch {
    return null;
  }
}

/** `X11; Linux x86_64`: what stands in the first parentheses. */
const systemOf = (userAgent: string): string => /\(([^)]*)\)/.exec(userAgent)?.[1] ?? 'not told';

export async function describeThisDevice(): Promise<TabDevice> {
  const hints: Hints = navigator;
  const wanted = ['architecture', 'bitness', 'model', 'platformVersion', 'fullVersionList'];
  const told = await hints.userAgentData?.getHighEntropyValues(wanted).catch(() => undefined);
  // "Not:A-Brand" and the like are there to be ignored.
  const brand = told?.fullVersionList?.filter((entry) => !/not.?a.?brand/i.test(entry.brand)).at(-1);
  const cut = (text: string): string => text.slice(0, 500);
  return {
    os: cut(
      told?.platform === undefined
        ? systemOf(navigator.userAgent)
        : join([told.platform, told.platformVersion, told.model]),
    ),
    arch: join([told?.architecture, told?.bitness]) || 'not told',
    browser: cut(brand === undefined ? navigator.userAgent : `${brand.brand} ${brand.version}`),
    cores: navigator.hardwareConcurrency || 1,
    gpu: await gpuName(hints),
    isolated: crossOriginIsolated,
  };
}
