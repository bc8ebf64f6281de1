package rtmpose;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;

/** A rectangle by its corners, in pixels of the image. */
public final class Box {
    /** Left side. */
    public final float x1;
    /** Top side. */
    public final float y1;
    /** Right side. */
    public final float x2;
    /** Bottom side. */
    public final float y2;

    /** A box by its sides. */
    public Box(float x1, float y1, float x2, float y2) {
        this.x1 = x1;
        this.y1 = y1;
        this.x2 = x2;
        this.y2 = y2;
    }

    @Override
    public String toString() {
        return "(" + x1 + ", " + y1 + ", " + x2 + ", " + y2 + ")";
    }

    static Box[] read(Pointer at, int count) {
        Box[] boxes = new Box[count];
        if (count > 0) {
            float[] sides = at.getFloatArray(0, 4 * count);
            for (int i = 0; i < count; i++) {
                int s = 4 * i;
                boxes[i] = new Box(sides[s], sides[s + 1], sides[s + 2], sides[s + 3]);
            }
        }
        return boxes;
    }

    /** In the layout of the library; not null for a list without boxes, which means nobody. */
    static Pointer write(Box[] boxes) {
        if (boxes == null) {
            return null;
        }
        Memory memory = new Memory(16L * Math.max(boxes.length, 1));
        for (int i = 0; i < boxes.length; i++) {
            if (boxes[i] == null) {
                throw new NullPointerException("box " + i + " is null");
            }
            float[] sides = {boxes[i].x1, boxes[i].y1, boxes[i].x2, boxes[i].y2};
            memory.write(16L * i, sides, 0, 4);
        }
        return memory;
    }
}
