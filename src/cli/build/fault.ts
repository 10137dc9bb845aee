// What keeps an executable from being built, in words for whoever builds it.

export class BuildFault extends Error {
  override name = 'BuildFault';
}
