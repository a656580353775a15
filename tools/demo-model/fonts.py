"""Fonts of the training, from Debian packages. `python fonts.py` prints the packages; one family is held out."""

from functools import cache
from pathlib import Path

from PIL import ImageFont

PACKAGES = """fonts-b612 fonts-cabin fonts-cantarell fonts-clear-sans fonts-courier-prime fonts-croscore
fonts-crosextra-caladea fonts-crosextra-carlito fonts-dejavu-core fonts-dosis fonts-ebgaramond fonts-freefont-ttf
fonts-hack fonts-inconsolata fonts-inter fonts-lato fonts-liberation fonts-linuxlibertine fonts-open-sans fonts-oxygen
fonts-play fonts-quicksand fonts-roboto-unhinted fonts-tuffy fonts-urw-base35 fonts-vollkorn wamerican""".split()

# Names of files, without their ends; the family comes before the hyphen or as written.
SEEN = """B612-Regular B612-Bold B612Mono-Regular Cabin-Regular Cabin-Bold Cantarell-Regular Cantarell-Bold
ClearSans-Regular ClearSans-Bold Arimo-Regular Tinos-Regular Tinos-Bold Cousine-Regular Caladea-Regular Caladea-Bold
Carlito-Regular Carlito-Bold DejaVuSans DejaVuSans-Bold DejaVuSansMono DejaVuSerif DejaVuSerif-Bold
Dosis-Medium EBGaramond12-Regular FreeSans FreeSansBold FreeSerif FreeMonoBold Hack-Regular Hack-Bold
Inter-Regular Inter-Bold LiberationSans-Regular LiberationSans-Bold LiberationSerif-Regular
LiberationSerif-Bold LiberationMono-Regular LiberationSansNarrow-Regular LinLibertine_R LinLibertine_RB LinBiolinum_R
OpenSans-Regular OpenSans-Bold OpenSans-Semibold Oxygen-Sans Play-Regular Play-Bold Quicksand-Regular Quicksand-Bold
Roboto-Regular Roboto-Bold Roboto-Medium tuffy_regular tuffy_bold C059-Roman C059-Bold NimbusRoman-Regular
NimbusSans-Regular NimbusSans-Bold NimbusMonoPS-Bold P052-Roman URWBookman-Light URWGothic-Book
Vollkorn-Regular Vollkorn-Bold""".split()
UNSEEN = "Lato-Regular Lato-Bold Lato-Medium".split()


@cache
def files():
    found = {}
    for path in sorted(Path("/usr/share/fonts").rglob("*")):
        if path.suffix in (".ttf", ".otf"):
            found.setdefault(path.stem, str(path))
    return found


@cache
def names(unseen=False):
    return [name for name in (UNSEEN if unseen else SEEN) if name in files()]


@cache
def load(name, size):
    return ImageFont.truetype(files()[name], size, layout_engine=ImageFont.Layout.BASIC)


@cache
def advance(name, size, character):
    return load(name, size).getlength(character)


if __name__ == "__main__":
    print(*PACKAGES)
