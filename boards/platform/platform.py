from platformio.public import PlatformBase


# PlatformIO derives the class name from the platform's name
class Thimble_emulatedPlatform(PlatformBase):
    def is_embedded(self):
        # pio test then builds and runs the program: there is nothing to upload and no serial port
        return False
